using Lora.Injection;
using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>Gives the pairs of a fresh adapter their initial values, layer by layer.</summary>
/// <param name="initialization">Which ones.</param>
/// <param name="calibration">What data has shown, where that is needed. It stays the caller's.</param>
internal sealed class StartingValues(AdapterInitialization initialization, Calibration? calibration)
{
    /// <summary>Runs the data of an initialisation that needs some.</summary>
    /// <param name="model">The model, with its adapters disabled where it has some.</param>
    /// <param name="plan">The layers.</param>
    /// <param name="config">The configuration.</param>
    /// <returns>What it has shown; null where none is needed.</returns>
    internal static Calibration? Calibrate(nn.Module model, InjectionPlan plan, LoraConfig config)
    {
        if (config.Initialization is not CalibratedInitialization initialization) return null;
        CalibratedLayer[] layers = [.. plan.Layers.Select(Layer)];
        using var state = new CalibrationScope(model, initialization.NeedsGradients, initialization.NeedsGradients ? layers.Select(layer => layer.View.Weight) : []);
        return initialization.Calibrate(layers, config);
    }

    /// <summary>Sets A and B of a fresh adapter, which has drawn its own.</summary>
    internal void Set(string path, ILoraLayer layer, LoraAdapter adapter)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (LoraAdapter part in adapter.Parts.Where(part => !initialization.LeavesToAdapter(part)))
        {
            if (initialization.ChangesBase || initialization.FreezesB || initialization is CalibratedInitialization) ThrowIfMerged(initialization, path, layer);
            initialization.Initialize(AdapterStart.Of(path, layer, part, calibration?.Statistics.GetValueOrDefault(path)));
            part.HasFrozenB = initialization.FreezesB;
            part.Variant?.Initialize(part);
        }
    }

    /// <summary>Notes the start of an adapter whose A and B have their final type.</summary>
    internal void Keep(LoraAdapter adapter)
    {
        if (initialization.ChangesBase && adapter is LinearAdapter linear) linear.KeepStart(initialization.WritesBase);
    }

    /// <summary>Refuses a start that looks at W, where it would take what is merged into W for a part of it.</summary>
    /// <exception cref="InvalidOperationException">An adapter is merged into the layer's weight.</exception>
    internal static void ThrowIfMerged(AdapterInitialization initialization, string path, ILoraLayer layer)
    {
        if (layer.Adapters.IsMerged)
            throw new InvalidOperationException($"{initialization.Name} looks at the base weight of '{path}', which adapter '{layer.Adapters.Merged[0].AdapterName}' is merged into: unmerge it first.");
    }

    // A layer that computes W·x + b has one input and one output.
    private static CalibratedLayer Layer(PlannedLayer planned)
    {
        ILoraLayer layer = planned.Site.Layer ?? planned.Kind.Create(planned.Site.Module, ownsBase: false);
        try
        {
            return new CalibratedLayer(planned.Site.Path, (nn.Module<Tensor, Tensor>)planned.Site.Module, ((LoraLinear)layer).View, planned.Settings.Rank, planned.Settings.Alpha);
        }
        finally
        {
            if (planned.Site.Layer is null) layer.Release();
        }
    }
}
