using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>The tensors of a model by name, of which one is read at a time.</summary>
internal sealed class ModelTensors
{
    private readonly OrderedDictionary<string, (IReadOnlyList<long> Shape, Func<Tensor> Read)> _tensors = new(StringComparer.Ordinal);

    private ModelTensors(string name, IEnumerable<(string Name, IReadOnlyList<long> Shape, Func<Tensor> Read)> tensors)
    {
        Name = name;
        foreach ((string key, IReadOnlyList<long> shape, Func<Tensor> read) in tensors) _tensors.Add(key, (shape, read));
    }

    /// <summary>What the model is called in messages.</summary>
    internal string Name { get; }

    internal IEnumerable<string> Names => _tensors.Keys;

    /// <summary>The paths of the modules that tensors belong to and of those that these are in, each once.</summary>
    internal IReadOnlyCollection<string> ModulePaths => [.. Names.SelectMany(Outer).Distinct(StringComparer.Ordinal)];

    /// <param name="name">What to call it.</param>
    /// <param name="source">A checkpoint, which must stay open.</param>
    internal static ModelTensors Of(string name, SafetensorsSource source) =>
        new(name, source.Entries.Select<SafetensorsEntry, (string, IReadOnlyList<long>, Func<Tensor>)>(entry => (entry.Name, entry.Shape, () => source.ReadTensor(entry.Name))));

    /// <param name="name">What to call it.</param>
    /// <param name="model">A model without adapters.</param>
    internal static ModelTensors Of(string name, nn.Module model) =>
        new(name, model.state_dict().Select<KeyValuePair<string, Tensor>, (string, IReadOnlyList<long>, Func<Tensor>)>(pair => (pair.Key, pair.Value.shape, pair.Value.detach)));

    internal bool Has(string name) => _tensors.ContainsKey(name);

    /// <summary>The shape of a tensor; null where there is none of that name.</summary>
    internal IReadOnlyList<long>? ShapeOf(string name) => _tensors.TryGetValue(name, out var tensor) ? tensor.Shape : null;

    /// <summary>Reads a tensor as it is stored. It belongs to the current dispose scope.</summary>
    internal Tensor Read(string name) => _tensors[name].Read();

    private static IEnumerable<string> Outer(string name)
    {
        for (int dot = name.LastIndexOf('.'); dot > 0; dot = name.LastIndexOf('.', dot - 1)) yield return name[..dot];
    }
}
