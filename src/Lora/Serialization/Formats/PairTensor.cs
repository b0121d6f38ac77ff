namespace Lora.Serialization.Formats;

/// <summary>What a tensor of a file is to the low-rank pair of its layer.</summary>
internal enum PairTensor
{
    /// <summary>A.</summary>
    Down,

    /// <summary>B.</summary>
    Up,

    /// <summary>The bias of B.</summary>
    Bias,

    /// <summary>The numerator of the scale.</summary>
    Alpha,
}
