using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>The values of a combined adapter, layer by layer, before it is part of the model. They belong to the dispose scope in which they were computed.</summary>
internal sealed class CombinedAdapter
{
    private readonly OrderedDictionary<string, Layer> _layers = new(StringComparer.Ordinal);

    /// <summary>The rank of each layer by path, in the model's order.</summary>
    internal IReadOnlyDictionary<string, int> Ranks => new OrderedDictionary<string, int>(_layers.Select(pair => KeyValuePair.Create(pair.Key, pair.Value.Rank)), StringComparer.Ordinal);

    internal IReadOnlyList<CombinedLayer> Report =>
        [.. _layers.Select(pair => new CombinedLayer(pair.Key, pair.Value.Rank, pair.Value.Combined.Error, pair.Value.Combined.RelativeError))];

    /// <summary>Computes the values.</summary>
    internal static CombinedAdapter Of(CombineRequest request)
    {
        CombineOptions options = request.Options;
        // PEFT takes whatever method for a single adapter as linear.
        CombineMethod method = options.PeftCompatible && request.Weights.Count == 1 ? CombineMethod.Linear : options.Method;
        int? rank = options.PeftCompatible ? method.PeftRank([.. request.Sources.Select(source => CombineRequest.LargestRank(source.Config))], options) : options.Rank;
        using var run = new CombineRun(method == options.Method ? options : options with { Density = null }, rank);
        var adapter = new CombinedAdapter();
        foreach (AdapterLayer layer in request.TargetLayers) adapter._layers.Add(layer.Path, Layer.Of([.. request.On(layer)], method, run));
        return adapter;
    }

    /// <summary>Sets the values of the new adapter at a path.</summary>
    internal void Assign(string path, LoraAdapter adapter)
    {
        adapter.Assign(_layers[path].Combined.Factors);
        FurtherTensors.Assign(adapter, _layers[path].Further);
    }

    private sealed record Layer(CombinedFactors Combined, IReadOnlyDictionary<string, Tensor> Further, int Rank)
    {
        internal static Layer Of((LoraAdapter Adapter, double Weight)[] adapters, CombineMethod method, CombineRun run)
        {
            using var scope = NewDisposeScope();
            LayerSource[] sources = [.. adapters.Select(source => new LayerSource(source.Adapter.ToLowRank()!, source.Weight, source.Adapter))];
            long perBlock = sources[0].RanksPerBlock;
            CombinedFactors combined = method.Combine(sources, run);
            LowRank factors = combined.Factors;
            if (run.Options.PeftCompatible) factors = factors.PaddedTo(run.Rank!.Value / perBlock);
            IReadOnlyDictionary<string, Tensor> further = FurtherTensors.Combine(sources, method, run);
            foreach (Tensor tensor in further.Values) tensor.MoveToOuterDisposeScope();
            return new Layer(combined with { Factors = factors.MoveToOuterDisposeScope() }, further, (int)(factors.Rank * perBlock));
        }
    }
}
