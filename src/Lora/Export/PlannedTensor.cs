using Lora.Serialization;

namespace Lora.Export;

/// <summary>One tensor of the merged checkpoint: where its values come from, and what changes them.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Entry">The base's tensor, whose type and shape it has.</param>
internal sealed record PlannedTensor(string Name, SafetensorsEntry Entry)
{
    /// <summary>The file with values that take the place of the base's, and their name there.</summary>
    internal (SafetensorsFile File, string Name)? Replacement { get; set; }

    /// <summary>Low-rank updates, in the order of the adapters.</summary>
    internal List<LowRankUpdate> Updates { get; } = [];

    /// <summary>Rows that take the place of the base's.</summary>
    internal List<RowReplacement> Rows { get; } = [];

    internal bool Changes => Replacement is not null || Updates.Count > 0 || Rows.Count > 0;
}

/// <summary>Rows of an embedding that an adapter has trained.</summary>
/// <param name="File">The adapter's file.</param>
/// <param name="Name">The tensor that holds them.</param>
/// <param name="Indices">Which rows they are.</param>
internal sealed record RowReplacement(SafetensorsFile File, string Name, IReadOnlyList<int> Indices);
