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
    /// <param name="make">Makes the model.</param>
    /// <param name="rules">Tells how the files' tensors become its parameters, by the names of all of them.</param>
    internal static TModel Load<TModel>(string folder, PretrainedOptions? options, Func<ScalarType, Device, TModel> make, Func<IReadOnlyList<string>, TensorRules> rules)
        where TModel : nn.Module
    {
        using SafetensorsSource weights = SafetensorsSource.Open(WeightLoader.Find(folder));
        TModel? model = make(options?.DataType ?? WeightLoader.TypeOf(weights), options?.Device ?? CPU);
        try
        {
            WeightLoader.Load(model, weights, rules([.. weights.Entries.Select(entry => entry.Name)]));
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
}
