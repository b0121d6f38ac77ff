namespace Lora.Optimization;

/// <summary>What a trainable parameter of an adapter is.</summary>
public enum ParameterRole
{
    /// <summary>A, the down-projection.</summary>
    Down,

    /// <summary>B, the up-projection.</summary>
    Up,

    /// <summary>A or B of an embedding's adapter.</summary>
    Embedding,

    /// <summary>A parameter of one dimension, such as a bias, a magnitude (DoRA) or the scale of a norm.</summary>
    Vector,

    /// <summary>Any other: a full copy of a module's weight, or rows of an embedding that are trained themselves.</summary>
    Full,
}
