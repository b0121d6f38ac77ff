using System.Text.RegularExpressions;
using Lora.Parts;
using Lora.Serialization;

namespace Lora.Conversion;

/// <summary>One tensor of an adapter's file: the layer that it belongs to, and what it is there.</summary>
/// <param name="Entry">The tensor in the file.</param>
/// <param name="Path">The layer's path; empty for a tensor that is no layer's factor, such as a full copy of a module's weight.</param>
/// <param name="Kind">What stands behind the path, such as <c>lora_A.weight</c>.</param>
internal sealed partial record FilePair(SafetensorsEntry Entry, string Path, string Kind)
{
    internal bool IsFactor => Path.Length > 0;

    /// <summary>Whether it is A, whose rows are the rank.</summary>
    internal bool IsDown => Kind is "lora_A.weight" or "lora_embedding_A";

    /// <summary>Whether it is what the scale multiplies once: B or its bias.</summary>
    internal bool IsUp => Kind is "lora_B.weight" or "lora_embedding_B" or "lora_B.bias";

    internal bool IsEmbedding => Kind.StartsWith("lora_embedding", StringComparison.Ordinal);

    /// <summary>Whether the layer is a weight inside another one's wrapper, whose rank patterns do not tell by this path.</summary>
    internal bool IsNested => $".{Path}.".Contains(".base_layer.", StringComparison.Ordinal);

    internal static IReadOnlyList<FilePair> Of(SafetensorsFile file) => [.. file.Entries.Select(Of)];

    private static FilePair Of(SafetensorsEntry entry) => Factor().Match(entry.Name) is { Success: true } match
        ? new FilePair(entry, match.Groups["path"].Value, match.Groups["kind"].Value)
        : new FilePair(entry, "", entry.Name.StartsWith(FileKeys.Prefix, StringComparison.Ordinal) ? entry.Name[FileKeys.Prefix.Length..] : entry.Name);

    [GeneratedRegex(@"^(?:base_model\.model\.)?(?<path>.+)\.(?<kind>lora_[AB]\.weight|lora_B\.bias|lora_embedding_[AB]|lora_magnitude_vector)$", RegexOptions.CultureInvariant)]
    private static partial Regex Factor();
}
