using Lora.Layers;

namespace Lora.Variants;

/// <summary>DoRA, by <see cref="LoraConfig.UseDora"/>.</summary>
internal sealed class DoraKind : LoraVariantKind
{
    internal static DoraKind Instance { get; } = new();

    internal override string Title => "DoRA";

    internal override string Setting => "use_dora";

    internal override IReadOnlyList<string> FileTensors => [DoraVariant.MagnitudeName];

    internal override bool IsAskedFor(LoraConfig config) => config.UseDora;

    internal override IEnumerable<string> Contradictions(LoraConfig config)
    {
        if (config.UseLoraBias) yield return "UseLoraBias is set, which does not go with UseDora: a magnitude cannot rescale a bias.";
        if (config.Initialization.ChangesBase) yield return $"UseDora is set, which does not go with {config.Initialization.Name}: a magnitude is measured on the whole weight, of which such a start takes a part off.";
        if (config.TargetParameters is not null) yield return "UseDora is set, but a parameter alone has no output that a magnitude could rescale: it must be false with TargetParameters.";
    }

    internal override bool IsDefinedFor(LoraLayerKind kind) => kind.ShowsWeight;

    internal override LoraVariant Create(LoraAdapter adapter, AdaptedWeight weight, AdapterSettings settings)
    {
        var variant = new DoraVariant(weight, adapter.A.dtype, settings.CachesInEvaluation);
        if (settings.Initialize) variant.Initialize(adapter);
        return variant;
    }
}
