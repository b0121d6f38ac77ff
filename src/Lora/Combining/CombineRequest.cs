using Lora.Injection;
using Lora.Layers;

namespace Lora.Combining;

/// <summary>What was asked for, with what the model has of it.</summary>
/// <param name="Name">The new adapter's name.</param>
/// <param name="Weights">The adapters' names and weights, in order.</param>
/// <param name="Options">How.</param>
/// <param name="Known">All adapters of the model.</param>
/// <param name="Layers">All adapted layers, in the model's order.</param>
internal sealed record CombineRequest(
    string Name,
    IReadOnlyList<(string Adapter, double Weight)> Weights,
    CombineOptions Options,
    IReadOnlyDictionary<string, AdapterEntry> Known,
    IReadOnlyList<AdapterLayer> Layers)
{
    /// <summary>The adapters that exist, in order.</summary>
    internal IReadOnlyList<AdapterEntry> Sources => [.. Weights.Where(weight => weight.Adapter is not null && Known.ContainsKey(weight.Adapter)).Select(weight => Known[weight.Adapter])];

    /// <summary>The layers that have at least one of the adapters.</summary>
    internal IEnumerable<AdapterLayer> TargetLayers => Layers.Where(layer => On(layer).Any());

    /// <summary>The adapters of a layer with their weights, in order.</summary>
    internal IEnumerable<(LoraAdapter Adapter, double Weight)> On(AdapterLayer layer)
    {
        foreach ((string name, double weight) in Weights)
            if (name is not null && layer.Layer.Adapters.TryFind(name, out LoraAdapter? adapter)) yield return (adapter, weight);
    }

    /// <summary>The largest rank of an adapter by its configuration, as PEFT counts it.</summary>
    internal static int LargestRank(LoraConfig config) => config.RankPattern.Values.Append(config.Rank).Max();
}
