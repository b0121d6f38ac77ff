using Lora.Layers;

namespace Lora.Variants;

/// <summary>KaSA, by <see cref="LoraConfig.Kasa"/>.</summary>
internal sealed class KasaKind : LoraVariantKind
{
    internal static KasaKind Instance { get; } = new();

    internal override string Title => "KaSA";

    internal override string Setting => "kasa_config";

    internal override string SettingHint => $"set {Setting}";

    internal override IReadOnlyList<string> FileTensors => [KasaVariant.DiagonalName];

    internal override bool NeedsBaseOnLoading => true;

    internal override bool IsAskedFor(LoraConfig config) => config.Kasa is not null;

    internal override IEnumerable<string> FileContradictions(LoraConfig config)
    {
        foreach (string problem in config.Kasa!.Problems()) yield return $"{Setting}: {problem}.";
        foreach (string problem in Uncombined(config)) yield return problem;
    }

    internal override IEnumerable<string> LayerProblems(LoraConfig config, string path, AdapterSettings settings, (long Out, long In)? matrix)
    {
        if (matrix is var (outputs, inputs) && settings.Rank >= Math.Min(outputs, inputs))
            yield return $"has a weight of {Math.Min(outputs, inputs)} singular values, of which {Title} ({Setting}) with the rank {settings.Rank} would leave none: choose a lower rank";
    }

    internal override LoraVariant Create(LoraAdapter adapter, AdaptedWeight weight, AdapterSettings settings) => new KasaVariant(weight, adapter, settings.Initialize);
}
