using Lora.Layers;

namespace Lora.Variants;

/// <summary>Knows when a configuration asks for a variant, what does not go with it, and how to make it.</summary>
internal abstract class LoraVariantKind
{
    private static readonly LoraVariantKind[] _all = [DoraKind.Instance];

    /// <summary>The name under which the method is known.</summary>
    internal abstract string Title { get; }

    /// <summary>The setting that asks for it, in PEFT's words.</summary>
    internal abstract string Setting { get; }

    /// <summary>The variant's own tensors in PEFT's file, by their names behind the layer's path.</summary>
    internal virtual IReadOnlyList<string> FileTensors => [];

    /// <summary>The variant that a configuration asks for; null for plain LoRA.</summary>
    internal static LoraVariantKind? Of(LoraConfig config) => Array.Find(_all, kind => kind.IsAskedFor(config));

    /// <summary>The variant that has a tensor of a name in PEFT's file, or null.</summary>
    internal static LoraVariantKind? WithTensor(string key) => Array.Find(_all, kind => kind.FileTensors.Any(tensor => key.EndsWith("." + tensor, StringComparison.Ordinal)));

    /// <summary>Lists which settings contradict the variants that a configuration asks for, each in a sentence.</summary>
    internal static IEnumerable<string> Problems(LoraConfig config)
    {
        LoraVariantKind[] asked = [.. _all.Where(kind => kind.IsAskedFor(config))];
        foreach (LoraVariantKind other in asked.Skip(1)) yield return $"{other.Title} ({other.Setting}) does not go with {asked[0].Title} ({asked[0].Setting}): choose one of them.";
        foreach (string problem in asked.SelectMany(kind => kind.Contradictions(config))) yield return problem;
    }

    /// <summary>Whether a configuration asks for the variant.</summary>
    internal abstract bool IsAskedFor(LoraConfig config);

    /// <summary>Which other settings do not go with it, each in a sentence.</summary>
    internal virtual IEnumerable<string> Contradictions(LoraConfig config) => [];

    /// <summary>Why layers of a kind cannot have the variant, a clause that can follow the layer's path; null where they can.</summary>
    internal virtual string? Refusal(LoraLayerKind kind) => kind.ShowsWeight
        ? null
        : $"is adapted by a {kind.LayerType.Name}, for which {Title} ({Setting}) is not defined: leave it out of the targets, or adapt it under a configuration of its own";

    /// <summary>Makes the variant of an adapter.</summary>
    /// <param name="adapter">The adapter, with its A and B.</param>
    /// <param name="weight">What it adapts.</param>
    /// <param name="settings">Its settings.</param>
    internal abstract LoraVariant Create(LoraAdapter adapter, AdaptedWeight weight, AdapterSettings settings);
}
