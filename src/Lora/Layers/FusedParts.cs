namespace Lora.Layers;

/// <summary>The parts that a fused linear layer's output is made of, one behind the other, and which of them have an adapter.</summary>
internal sealed class FusedParts
{
    private readonly (long Width, bool IsEnabled)[] _parts;

    private FusedParts((long Width, bool IsEnabled)[] parts) => _parts = parts;

    /// <summary>All parts in their order.</summary>
    internal IReadOnlyList<(long Width, bool IsEnabled)> All => _parts;

    /// <summary>The number of parts with an adapter.</summary>
    internal int EnabledCount => _parts.Count(part => part.IsEnabled);

    /// <summary>The width of the parts with an adapter together.</summary>
    internal long EnabledWidth => _parts.Where(part => part.IsEnabled).Sum(part => part.Width);

    /// <summary>Why parts do not go with a layer, a clause that can follow its path; null where they do.</summary>
    internal static string? Problem(long outFeatures, IReadOnlyList<bool> enabled, IReadOnlyList<long>? widths)
    {
        if (!enabled.Contains(true)) return "has no enabled part: enable one at least, or leave the layer out of the targets";
        if (widths is null)
        {
            return outFeatures % enabled.Count == 0
                ? null
                : $"has an output of {outFeatures}, which cannot be cut into {enabled.Count} equal parts: give the widths of the parts";
        }
        if (widths.Count != enabled.Count) return $"is given {widths.Count} widths for {enabled.Count} parts: give one for each";
        if (widths.Any(width => width < 1) || widths.Sum() != outFeatures)
            return $"has an output of {outFeatures}, but is given parts of {string.Join(" + ", widths)} = {widths.Sum()}: give positive widths that add up to it";
        return null;
    }

    /// <exception cref="ArgumentException">The parts do not go with the layer.</exception>
    internal static FusedParts Of(long outFeatures, IReadOnlyList<bool> enabled, IReadOnlyList<long>? widths)
    {
        if (Problem(outFeatures, enabled, widths) is string problem) throw new ArgumentException($"The layer {problem}.", nameof(enabled));
        return new FusedParts([.. enabled.Select((on, i) => (widths is null ? outFeatures / enabled.Count : widths[i], on))]);
    }

    /// <summary>The parts in short, such as <c>8+-+8</c>.</summary>
    public override string ToString() => string.Join('+', _parts.Select(part => part.IsEnabled ? $"{part.Width}" : "-"));
}
