using Lora.Inspection;
using static TorchSharp.torch;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>
    /// Measures what an adapter does, layer by layer: how large ΔW is beside W, and how its singular values fall. The numbers come from the factors in float64, with the scale of the moment; ΔW itself is never formed.
    /// </summary>
    /// <param name="name">The adapter's name.</param>
    /// <param name="options">What counts as significant; null for the defaults.</param>
    /// <returns>The numbers, which can be drawn: <see cref="AdapterInspection.ToSvg"/>.</returns>
    /// <exception cref="ArgumentException">There is no adapter of that name, or the threshold is not from 0 to 1.</exception>
    /// <exception cref="InvalidOperationException">An adapter is merged, so that the base's own weights are not there to compare with.</exception>
    /// <example><c>foreach (LayerInspection layer in lora.Inspect("default").MostMoved(5)) Console.WriteLine($"{layer.Path} {layer.RelativeNorm:P2}");</c></example>
    public AdapterInspection Inspect(string name, InspectOptions? options = null)
    {
        ThrowIfFinished();
        CheckKnown([name]);
        options ??= new InspectOptions();
        if (options.Threshold is not (>= 0 and <= 1)) throw new ArgumentException(FormattableString.Invariant($"{nameof(options.Threshold)} must be from 0 to 1, but is {options.Threshold}."), nameof(options));
        if (IsMerged) throw new InvalidOperationException($"Adapter '{MergedAdapters[0]}' is merged into the base weights, with which '{name}' would be compared: unmerge it first.");
        using var noGrad = no_grad();
        var layers = new List<LayerInspection>();
        var undefined = new List<string>();
        foreach (AdapterLayer layer in _layers.Where(layer => layer.Layer.Adapters.Contains(name)))
        {
            using var scope = NewDisposeScope();
            if (InspectedWeight.Of(layer.Layer, layer.Layer.Adapters[name]) is not { } weights) undefined.Add(layer.Path);
            else layers.AddRange(weights.Select(weight => Measure(layer, weight, options)));
        }
        return new AdapterInspection(name, layers, undefined);
    }

    private static LayerInspection Measure(AdapterLayer layer, InspectedWeight weight, InspectOptions options)
    {
        double[] values = FactorAnalysis.SingularValues(weight.A, weight.B, weight.Pair.Scale);
        int significant = values.Count(value => value > options.Threshold * values[0]);
        return new LayerInspection(layer.Path, weight.Part, layer.Kind, (int)weight.A.shape[0], weight.Pair.Scale, FactorAnalysis.Norm(weight.Weight), values, significant);
    }
}
