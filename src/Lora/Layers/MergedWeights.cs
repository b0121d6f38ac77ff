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

    // What the rows of a parameter were multiplied by, where the original is not kept.
    private readonly Dictionary<string, Tensor> _factors = new(StringComparer.Ordinal);

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
            if (change.Apply(BeforeOthers(name)) is Tensor factor && !keepOriginal) _factors[name] = factor.DetachFromDisposeScope();
        }
        _adapters.Add(adapter);
    }

    internal void Remove(ILoraLayer layer, LoraAdapter adapter)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        LoraAdapter[] staying = [.. _adapters.Where(other => other != adapter)];
        if (!KeepsOriginals)
        {
            foreach (WeightChange change in layer.ChangesOf(adapter)) change.Revert(_factors.GetValueOrDefault(NameOf(layer, change.Weight)));
            _adapters.Remove(adapter);
        }
        else
        {
            // What stays merged goes onto the originals again, so that nothing of the removed one is left.
            foreach ((string name, Parameter weight) in layer.BaseLayer.named_parameters())
                if (_originals.TryGetValue(name, out Tensor? original)) weight.copy_(original);
            _adapters.Clear();
            foreach (LoraAdapter other in staying)
            {
                foreach (WeightChange change in layer.ChangesOf(other)) change.Apply(BeforeOthers(NameOf(layer, change.Weight)));
                _adapters.Add(other);
            }
        }
        if (_adapters.Count > 0) return;
        layer.EndMerging();
        Clear();
    }

    /// <summary>What a parameter was before anything was merged, where that is kept.</summary>
    internal Tensor? OriginalOf(ILoraLayer layer, Parameter weight) => _originals.Count > 0 ? _originals.GetValueOrDefault(NameOf(layer, weight)) : null;

    /// <summary>Forgets the kept weights.</summary>
    internal void Clear()
    {
        foreach (Tensor kept in _originals.Values.Concat(_factors.Values)) kept.Dispose();
        _originals.Clear();
        _factors.Clear();
    }

    // Null where nothing else is merged, so that the parameter itself is what it was before.
    private Tensor? BeforeOthers(string name) => _adapters.Count > 0 ? _originals.GetValueOrDefault(name) : null;

    private static string NameOf(ILoraLayer layer, Parameter weight) => layer.BaseLayer.named_parameters().First(p => p.parameter.Handle == weight.Handle).name;
}
