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

    /// <summary>Fills every parameter and every buffer of the model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="source">The opened file or files.</param>
    /// <param name="rules">How the tensors become parameters.</param>
    /// <exception cref="AdapterFormatException">Tensors are missing, unexpected, misshapen or of a type that weights do not have; all are listed.</exception>
    internal static void Load(nn.Module model, SafetensorsSource source, TensorRules rules)
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors = model.named_parameters().Select(p => (p.name, tensor: (Tensor)p.parameter)).Concat(model.named_buffers().Select(b => (b.name, tensor: b.buffer)))
            .ToDictionary(pair => pair.name, pair => pair.tensor, StringComparer.Ordinal);
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        var problems = new List<string>();
        foreach (SafetensorsEntry entry in source.Entries)
        {
            string name = rules.Rename(entry.Name);
            if (rules.Fresh(name)) continue;
            if (!tensors.TryGetValue(name, out Tensor? tensor))
            {
                if (!rules.Ignored(name)) problems.Add($"unexpected tensor {entry.Name}, shape {Text(entry.Shape)}");
                continue;
            }
            if (!found.TryAdd(name, entry.Name)) problems.Add($"tensors {found[name]} and {entry.Name} are both {name}");
            if (Problem(entry, tensor) is string problem) problems.Add($"tensor {entry.Name} has the {problem}");
        }
        string[] fresh = [.. tensors.Keys.Where(name => !found.ContainsKey(name) && (rules.Fresh(name) || rules.Optional(name)))];
        string[] missing = [.. tensors.Keys.Where(name => !found.ContainsKey(name)).Except(fresh, StringComparer.Ordinal)];
        problems.AddRange(missing.Select(name => $"missing tensor {name}, shape {Text(tensors[name].shape)}"));
        if (problems.Count > 0 && rules.Hint(missing) is string hint) problems.Add(hint);
        if (problems.Count > 0) throw new AdapterFormatException(source.Path, problems);

        using var noGrad = no_grad();
        foreach ((string name, string entry) in found) source.CopyTo(entry, tensors[name]);
        foreach (string name in fresh)
        {
            if (tensors[name].dim() > 1) nn.init.normal_(tensors[name], 0, rules.InitializerRange);
            else tensors[name].zero_();
        }
    }

    private static string? Problem(SafetensorsEntry entry, Tensor tensor)
    {
        bool counts = tensor.dtype == ScalarType.Int64;
        if (!entry.Shape.SequenceEqual(tensor.shape)) return $"shape {Text(entry.Shape)}, but the configuration gives {Text(tensor.shape)}";
        if (counts && entry.Type != SafetensorsType.I64) return $"type {entry.Type.ToFileName()}, but counts are I64";
        if (!counts && entry.Type is not (SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64)) return $"type {entry.Type.ToFileName()}, but weights are F16, BF16, F32 or F64";
        return null;
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
