using Lora.Injection;
using Lora.Layers;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>The start of a saved adapter in PEFT's raw form: its file has A and B only, which were trained beside W − s·B₀·A₀.</summary>
internal static class RestoredStart
{
    /// <summary>Finds A₀ and B₀ again from the base weights, as PEFT does when it loads such an adapter.</summary>
    /// <param name="saved">The file.</param>
    /// <param name="prepared">The adapter, before its values are read.</param>
    /// <param name="options">Whether the base is the original one.</param>
    /// <returns>What a reader should know.</returns>
    /// <exception cref="AdapterFormatException">They cannot be found.</exception>
    internal static IReadOnlyList<string> Apply(SavedAdapter saved, PreparedAdapter prepared, WrapOptions options)
    {
        AdapterInitialization initialization = saved.Config.Initialization;
        foreach ((_, LoraAdapter adapter) in prepared.Adapters.Where(_ => initialization.FreezesB)) adapter.HasFrozenB = true;
        if (!initialization.ChangesBase) return [];
        if (options.BaseIsResidual) return [$"{initialization.Name}: the base weights are taken for what the adapter's start was taken off already ({nameof(WrapOptions.BaseIsResidual)})"];
        if (saved.Config.UseDora)
        {
            throw new AdapterFormatException(
                saved.Path,
                $"{PeftAdapterConfig.FileName}: use_dora is true, which does not go with {initialization.Name} here: a magnitude is measured on the whole weight, of which such a start takes a part off. Merge the adapter into the base with PEFT (merge_and_unload).");
        }
        if (!initialization.CanBeRepeated)
        {
            throw new AdapterFormatException(
                saved.Path,
                $"{PeftAdapterConfig.FileName}: {initialization.Name} took the adapter's start off the base weights, and that start cannot be found again from them: load the adapter onto the base that was saved beside it with {nameof(WrapOptions)}.{nameof(WrapOptions.BaseIsResidual)}, or save it as a plain one (in PEFT by path_initial_model_for_weight_conversion).");
        }
        using var noGrad = no_grad();
        foreach (((string path, ILoraLayer layer), (_, LoraAdapter adapter)) in prepared.Layers.Zip(prepared.Adapters))
        {
            if (adapter is not LinearAdapter linear) continue;
            StartingValues.ThrowIfMerged(initialization, path, layer);
            using var scope = NewDisposeScope();
            if (initialization.Obstacle(ShapeOf((LoraLinear)layer, linear)) is string obstacle) throw new AdapterFormatException(saved.Path, $"'{path}' {obstacle}");
            initialization.InitializeAsPeft(AdapterStart.Of(path, layer, linear));
            linear.KeepStart(writesBase: false);
        }
        return [$"{initialization.Name}: the adapter's start was found again from the base weights, which must be those that it was made on"];
    }

    private static AdapterShape ShapeOf(LoraLinear layer, LinearAdapter adapter) =>
        new(layer.BaseLayer.GetType().Name, IsLinear: true, IsEmbedding: false, layer.OutFeatures, layer.InFeatures, adapter.Rank, adapter.InitialScale);
}
