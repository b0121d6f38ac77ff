namespace Lora.Export;

/// <summary>How <see cref="CheckpointMerge"/> writes, and what files alone do not say about a checkpoint.</summary>
public sealed record CheckpointMergeOptions
{
    /// <summary>How many bytes of tensors a file may have; a larger tensor gets a file of its own.</summary>
    /// <value>Null by default: the files have the names and the tensors of the original's.</value>
    public long? MaxShardBytes { get; init; }

    /// <summary>Which linear layers store their weight as <c>[in, out]</c>, as Hugging Face's Conv1D does. It decides only where the weight is square: otherwise the shapes of A and B do.</summary>
    /// <value>Null by default: those of the family that <c>config.json</c> names, and where that is missing, what the adapter's <c>fan_in_fan_out</c> says.</value>
    public ModuleSelector? TransposedModules { get; init; }

    internal void Validate()
    {
        if (MaxShardBytes < 1) throw new ArgumentException($"{nameof(MaxShardBytes)} must be at least 1, but is {MaxShardBytes}.");
    }
}
