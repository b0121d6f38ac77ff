using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>Copies the weights, and the buffers beside them, of a Hugging Face folder into a model.</summary>
internal static class WeightLoader
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";

    /// <summary>Finds the weights of a folder: one file, or else the index of several.</summary>
    /// <exception cref="FileNotFoundException">There are none in safetensors form.</exception>
    internal static string Find(string folder)
    {
        foreach (string name in new[] { SingleFile, IndexFile })
        {
            string path = Path.Combine(folder, name);
            if (File.Exists(path)) return path;
        }
        bool pickled = Directory.EnumerateFiles(folder, "*.bin").Any();
        throw new FileNotFoundException(
            $"There is neither {SingleFile} nor {IndexFile} in '{folder}'" + (pickled ? "; its .bin files are pickled, which is not read: save it as safetensors first." : "."));
    }

    /// <summary>Fills a new model and sets it to evaluation mode; disposes it where that fails.</summary>
    internal static TModel Filled<TModel>(TModel model, SafetensorsSource source, Func<string, bool> ignored, Func<string, string>? fileName = null)
        where TModel : nn.Module
    {
        TModel? unfilled = model;
        try
        {
            Load(model, source, ignored, fileName);
            model.eval();
            unfilled = null;
            return model;
        }
        finally
        {
            unfilled?.Dispose();
        }
    }

    /// <summary>Fills every parameter and every buffer of the model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="source">The opened file or files.</param>
    /// <param name="ignored">Says which tensors of the file the model rightly has no place for.</param>
    /// <param name="fileName">What the file calls a tensor of the model; null where the names are the same.</param>
    /// <exception cref="AdapterFormatException">Tensors are missing, unexpected, misshapen or of a type that weights do not have; all are listed.</exception>
    internal static void Load(nn.Module model, SafetensorsSource source, Func<string, bool> ignored, Func<string, string>? fileName = null)
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors = model.named_parameters().Select(p => (p.name, tensor: (Tensor)p.parameter)).Concat(model.named_buffers().Select(b => (b.name, tensor: b.buffer)))
            .ToDictionary(pair => fileName?.Invoke(pair.name) ?? pair.name, pair => pair.tensor, StringComparer.Ordinal);
        var problems = new List<string>();
        foreach (SafetensorsEntry entry in source.Entries)
        {
            if (!tensors.TryGetValue(entry.Name, out Tensor? tensor))
            {
                if (!ignored(entry.Name)) problems.Add($"unexpected tensor {entry.Name}, shape {Text(entry.Shape)}");
            }
            else if (!entry.Shape.SequenceEqual(tensor.shape))
            {
                problems.Add($"tensor {entry.Name} has the shape {Text(entry.Shape)}, but the configuration gives {Text(tensor.shape)}");
            }
            else if (tensor.dtype == ScalarType.Int64 && entry.Type != SafetensorsType.I64)
            {
                problems.Add($"tensor {entry.Name} has the type {entry.Type.ToFileName()}, but counts are I64");
            }
            else if (tensor.dtype != ScalarType.Int64 && entry.Type is not (SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64))
            {
                problems.Add($"tensor {entry.Name} has the type {entry.Type.ToFileName()}, but weights are F16, BF16, F32 or F64");
            }
        }
        problems.AddRange(tensors.Where(pair => !source.TryGetEntry(pair.Key, out _)).Select(pair => $"missing tensor {pair.Key}, shape {Text(pair.Value.shape)}"));
        if (problems.Count > 0) throw new AdapterFormatException(source.Path, problems);

        using var noGrad = no_grad();
        foreach ((string name, Tensor tensor) in tensors) source.CopyTo(name, tensor);
    }

    /// <summary>The type of most of the weights.</summary>
    internal static ScalarType TypeOf(SafetensorsSource source)
    {
        SafetensorsType type = source.Entries.GroupBy(entry => entry.Type).OrderByDescending(group => group.Count()).Select(group => group.Key).FirstOrDefault(SafetensorsType.F32);
        return type switch
        {
            SafetensorsType.BF16 => ScalarType.BFloat16,
            SafetensorsType.F16 => ScalarType.Float16,
            SafetensorsType.F64 => ScalarType.Float64,
            _ => ScalarType.Float32,
        };
    }

    private static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
