using Lora.Llm.Blocks;
using Lora.Serialization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>Which tensor of a folder is which parameter of a model, or which buffer beside them.</summary>
internal sealed class WeightMap
{
    private readonly Dictionary<string, string> _found = new(StringComparer.Ordinal);
    private readonly string[] _fresh;
    private readonly double _initializerRange;

    private WeightMap(Dictionary<string, Tensor> tensors, SafetensorsSource source, TensorRules rules)
    {
        _initializerRange = rules.InitializerRange;
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
            if (!_found.TryAdd(name, entry.Name)) problems.Add($"tensors {_found[name]} and {entry.Name} are both {name}");
            if (Problem(entry, tensor) is string problem) problems.Add($"tensor {entry.Name} has the {problem}");
        }
        _fresh = [.. tensors.Keys.Where(name => !_found.ContainsKey(name) && (rules.Fresh(name) || rules.Optional(name)))];
        string[] missing = [.. tensors.Keys.Where(name => !_found.ContainsKey(name)).Except(_fresh, StringComparer.Ordinal)];
        problems.AddRange(missing.Select(name => $"missing tensor {name}, shape {Text(tensors[name].shape)}"));
        if (problems.Count > 0 && rules.Hint(missing) is string hint) problems.Add(hint);
        if (problems.Count > 0) throw new AdapterFormatException(source.Path, problems);
    }

    /// <summary>Finds the tensors of a model.</summary>
    /// <param name="model">A model of the shape; it may lie on the meta device.</param>
    /// <param name="source">The opened file or files.</param>
    /// <param name="rules">How the tensors become parameters.</param>
    /// <exception cref="AdapterFormatException">Tensors are missing, unexpected, misshapen or of a type that weights do not have; all are listed.</exception>
    internal static WeightMap Of(nn.Module model, SafetensorsSource source, TensorRules rules)
    {
        using var scope = NewDisposeScope();
        return new WeightMap(TensorsOf(model), source, rules);
    }

    /// <summary>Fills every parameter and every buffer of a model of the same shape.</summary>
    internal void Fill(nn.Module model, SafetensorsSource source)
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors = TensorsOf(model);
        using var noGrad = no_grad();
        foreach ((string name, string entry) in _found) source.CopyTo(entry, tensors[name]);
        foreach (string name in _fresh)
        {
            // Heads have no buffers.
            if (tensors[name] is Parameter parameter) FreshWeights.Fill(name, parameter, _initializerRange);
        }
    }

    private static Dictionary<string, Tensor> TensorsOf(nn.Module model) =>
        model.named_parameters().Select(p => (p.name, tensor: (Tensor)p.parameter)).Concat(model.named_buffers().Select(b => (b.name, tensor: b.buffer)))
            .ToDictionary(pair => pair.name, pair => pair.tensor, StringComparer.Ordinal);

    private static string? Problem(SafetensorsEntry entry, Tensor tensor)
    {
        bool counts = tensor.dtype == ScalarType.Int64;
        if (!entry.Shape.SequenceEqual(tensor.shape)) return $"shape {Text(entry.Shape)}, but the configuration gives {Text(tensor.shape)}";
        if (counts && entry.Type != SafetensorsType.I64) return $"type {entry.Type.ToFileName()}, but counts are I64";
        if (!counts && entry.Type is not (SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64)) return $"type {entry.Type.ToFileName()}, but weights are F16, BF16, F32 or F64";
        return null;
    }

    private static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
