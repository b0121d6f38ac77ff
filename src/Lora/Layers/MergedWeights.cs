using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>Which adapters are part of a layer's base weights, and what the weights were before where that is kept.</summary>
internal sealed class MergedWeights
{
    private readonly List<LoraAdapter> _adapters = [];

    // By the parameters' names: moving a model makes new parameters.
    private readonly Dictionary<string, Tensor> _originals = new(StringComparer.Ordinal);

    internal bool KeepsOriginals { get; private set; }

    internal IReadOnlyList<LoraAdapter> Adapters => _adapters;

    internal void Add(ILoraLayer layer, LoraAdapter adapter, bool keepOriginal)
    {
        if (_adapters.Count > 0 && keepOriginal != KeepsOriginals)
        {
            throw new InvalidOperationException(
                $"Adapter '{_adapters[0].AdapterName}' is merged {(KeepsOriginals ? "with" : "without")} keeping the original weights, so '{adapter.AdapterName}' cannot be merged {(keepOriginal ? "with" : "without")} it: unmerge first, or merge both alike.");
        }
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        KeepsOriginals = keepOriginal;
        if (_adapters.Count == 0) layer.BeginMerging();
        foreach (WeightChange change in layer.ChangesOf(adapter))
        {
            string name = NameOf(layer, change.Weight);
            if (keepOriginal && !_originals.ContainsKey(name)) _originals[name] = change.Weight.detach().clone().DetachFromDisposeScope();
            change.Add(1);
        }
        _adapters.Add(adapter);
    }

    internal void Remove(ILoraLayer layer, LoraAdapter adapter)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _adapters.Remove(adapter);
        if (!KeepsOriginals)
        {
            foreach (WeightChange change in layer.ChangesOf(adapter)) change.Add(-1);
            if (_adapters.Count == 0) layer.EndMerging();
            return;
        }
        // What stays merged goes onto the original again, so that nothing of the removed one is left.
        foreach (WeightChange change in layer.ChangesOf(adapter)) change.Weight.copy_(_originals[NameOf(layer, change.Weight)]);
        foreach (LoraAdapter other in _adapters)
            foreach (WeightChange change in layer.ChangesOf(other)) change.Add(1);
        if (_adapters.Count > 0) return;
        layer.EndMerging();
        Clear();
    }

    /// <summary>Forgets the kept weights.</summary>
    internal void Clear()
    {
        foreach (Tensor original in _originals.Values) original.Dispose();
        _originals.Clear();
    }

    private static string NameOf(ILoraLayer layer, Parameter weight) => layer.BaseLayer.named_parameters().First(p => p.parameter.Handle == weight.Handle).name;
}
