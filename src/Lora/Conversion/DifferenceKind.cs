namespace Lora.Conversion;

/// <summary>In what a tensor differs between two models.</summary>
public enum DifferenceKind
{
    /// <summary>In its numbers.</summary>
    Values,

    /// <summary>In its shape.</summary>
    Shape,

    /// <summary>Only the base has it.</summary>
    OnlyInBase,

    /// <summary>Only the tuned model has it.</summary>
    OnlyInTuned,
}
