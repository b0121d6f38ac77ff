namespace Lora.Llm;

/// <summary>Where a short row of a batch is filled up.</summary>
public enum PaddingSide
{
    /// <summary>Behind the text, as encoders and training want it.</summary>
    Right,

    /// <summary>Before the text, as generation wants it: the text then ends where the new tokens begin.</summary>
    Left,
}
