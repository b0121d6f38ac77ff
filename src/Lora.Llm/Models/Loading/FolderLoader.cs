using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>Loads a model from a Hugging Face folder.</summary>
internal static class FolderLoader
{
    /// <summary>The folder's configuration.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    internal static string ConfigOf(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder)) throw new DirectoryNotFoundException($"There is no model folder '{folder}'.");
        return Path.Combine(folder, "config.json");
    }

    /// <summary>Makes a model with its weights unset and fills them from the folder's files.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type and device; null for the defaults.</param>
    /// <param name="layers">The number of layers that the configuration asks for.</param>
    /// <param name="make">Makes the model.</param>
    /// <param name="rules">Tells how the files' tensors become its parameters, by the names of all of them.</param>
    internal static TModel Load<TModel>(string folder, PretrainedOptions? options, long layers, Func<ScalarType, Device, TModel> make, Func<IReadOnlyList<string>, TensorRules> rules)
        where TModel : nn.Module
    {
        using SafetensorsSource weights = SafetensorsSource.Open(WeightLoader.Find(folder));
        int tensors = weights.Entries.Count;
        // Modules take memory and time, however small they are.
        if (layers > tensors) throw new AdapterFormatException(weights.Path, $"config.json says that there are {layers} layers, but the file holds {tensors} tensors.");
        ThrowIfQuantized(ConfigOf(folder), weights);
        ScalarType type = options?.DataType ?? WeightLoader.TypeOf(weights);
        WeightMap map;
        // First without memory for the weights: a configuration may ask for far more than the files hold.
        using (TModel shapes = make(type, META)) map = WeightMap.Of(shapes, weights, rules([.. weights.Entries.Select(entry => entry.Name)]));
        TModel? model = make(type, options?.Device ?? CPU);
        try
        {
            map.Fill(model, weights);
            model.eval();
            TModel loaded = model;
            model = null;
            return loaded;
        }
        finally
        {
            model?.Dispose();
        }
    }

    // Some folders of plain weights still have the section: the tensors tell. A list of all that are missing and unexpected would say nothing.
    private static void ThrowIfQuantized(string config, SafetensorsSource weights)
    {
        if (ConfigReader.Open(config).Section("quantization_config") is not ConfigReader section) return;
        SafetensorsEntry? quantized = weights.Entries.FirstOrDefault(entry => entry.Type is not (SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64 or SafetensorsType.I64));
        if (quantized is null) return;
        string method = section.Text("quant_method") is string name ? $" with the quant_method \"{name}\"" : "";
        throw new AdapterFormatException(config, $"there is a quantization_config{method}, and tensor {quantized.Name} is of type {quantized.Type.ToFileName()}: quantized weights are not read; take the model's folder in float16, bfloat16 or float32.");
    }
}
