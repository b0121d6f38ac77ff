using Lora.Layers;

namespace Lora.Variants;

/// <summary>Knows when a configuration asks for a variant, what does not go with it, and how to make it.</summary>
internal abstract class LoraVariantKind
{
    private static readonly LoraVariantKind[] _all = [DoraKind.Instance, InvocationKind.Instance, BlockDiagonalKind.Instance, KasaKind.Instance];

    /// <summary>The name under which the method is known.</summary>
    internal abstract string Title { get; }

    /// <summary>The setting that asks for it, in PEFT's words.</summary>
    internal abstract string Setting { get; }

    /// <summary>What to do with the setting so that it asks for it.</summary>
    internal virtual string SettingHint => $"set {Setting} to true";

    /// <summary>The variant's own tensors in PEFT's file, by their names behind the layer's path.</summary>
    internal virtual IReadOnlyList<string> FileTensors => [];

    /// <summary>What files of other forms have no place for; null where they carry everything.</summary>
    internal virtual string? Unplaced => FileTensors is [string tensor, ..] ? tensor : null;

    /// <summary>Whether an adapter from a file needs the base weight as it is without adapters, as a fresh one does.</summary>
    internal virtual bool NeedsBaseOnLoading => false;

    /// <summary>The variant that a configuration asks for; null for plain LoRA.</summary>
    internal static LoraVariantKind? Of(LoraConfig config) => Array.Find(_all, kind => kind.IsAskedFor(config));

    /// <summary>The variant that a configuration asks for on the layer at a path.</summary>
    internal static LoraVariantKind? Of(LoraConfig config, string path) => Of(config) is LoraVariantKind kind && kind.IsAskedFor(config, path) ? kind : null;

    /// <summary>The variant that has a tensor of a name in PEFT's file, or null.</summary>
    internal static LoraVariantKind? WithTensor(string key) => Array.Find(_all, kind => kind.FileTensors.Any(tensor => key.EndsWith("." + tensor, StringComparison.Ordinal)));

    /// <summary>Lists which settings contradict the variants that a configuration asks for, each in a sentence.</summary>
    internal static IEnumerable<string> Problems(LoraConfig config) =>
        [.. Several(config), .. _all.Where(kind => kind.IsAskedFor(config)).SelectMany(kind => kind.Contradictions(config).Concat(kind.FileContradictions(config)))];

    /// <summary>Lists the same of a file, where what only a fresh adapter needs does not count.</summary>
    internal static IEnumerable<string> FileProblems(LoraConfig config) =>
        [.. Several(config), .. _all.Where(kind => kind.IsAskedFor(config)).SelectMany(kind => kind.FileContradictions(config))];

    /// <summary>Whether a configuration asks for the variant.</summary>
    internal abstract bool IsAskedFor(LoraConfig config);

    /// <summary>Whether a configuration that asks for the variant does so for the layer at a path.</summary>
    internal virtual bool IsAskedFor(LoraConfig config, string path) => true;

    /// <summary>Which other settings do not go with it in a fresh adapter, each in a sentence.</summary>
    internal virtual IEnumerable<string> Contradictions(LoraConfig config) => [];

    /// <summary>Which other settings do not go with it in any adapter, each in a sentence in PEFT's words.</summary>
    internal virtual IEnumerable<string> FileContradictions(LoraConfig config) => [];

    /// <summary>Whether layers of a kind can have the variant.</summary>
    internal virtual bool IsDefinedFor(LoraLayerKind kind) => kind.LayerType == typeof(LoraLinear);

    /// <summary>Why layers of a kind cannot have the variant, a clause that can follow the layer's path; null where they can.</summary>
    internal string? Refusal(LoraLayerKind kind) => IsDefinedFor(kind)
        ? null
        : $"is adapted by a {kind.LayerType.Name}, for which {Title} ({Setting}) is not defined: leave it out of the targets, or adapt it under a configuration of its own";

    /// <summary>What is wrong with the variant on one layer, each a clause that can follow the layer's path.</summary>
    /// <param name="config">The configuration, which asks for the variant.</param>
    /// <param name="path">The layer's path.</param>
    /// <param name="settings">Its settings.</param>
    /// <param name="matrix">The shape of its weight, <c>[out, in]</c>, where there is one that is known.</param>
    internal virtual IEnumerable<string> LayerProblems(LoraConfig config, string path, AdapterSettings settings, (long Out, long In)? matrix) => [];

    /// <summary>Names in the variant's settings that no adapted layer has, each in a sentence.</summary>
    internal virtual IEnumerable<string> Unused(LoraConfig config, IReadOnlyCollection<string> paths) => [];

    /// <summary>Makes the variant of an adapter.</summary>
    /// <param name="adapter">The adapter, with its A and B.</param>
    /// <param name="weight">What it adapts.</param>
    /// <param name="settings">Its settings.</param>
    internal abstract LoraVariant Create(LoraAdapter adapter, AdaptedWeight weight, AdapterSettings settings);

    /// <summary>What every variant but DoRA refuses: targets without a layer, and starts that change the base or freeze B, which PEFT combines with no variant.</summary>
    private protected IEnumerable<string> Uncombined(LoraConfig config)
    {
        if (config.TargetParameters is not null) yield return $"{Setting} does not go with target_parameters, which have no layer of their own: leave one of the two out.";
        if (config.Initialization.ChangesBase || config.Initialization.FreezesB)
            yield return $"{Setting} does not go with {config.Initialization.Name}: {(config.Initialization.ChangesBase ? $"{Title} works on the whole base weight, of which such a start takes a part off" : "PEFT knows no such combination")}.";
    }

    private static IEnumerable<string> Several(LoraConfig config)
    {
        LoraVariantKind[] asked = [.. _all.Where(kind => kind.IsAskedFor(config))];
        foreach (LoraVariantKind other in asked.Skip(1)) yield return $"{other.Title} ({other.Setting}) does not go with {asked[0].Title} ({asked[0].Setting}): choose one of them.";
    }
}
