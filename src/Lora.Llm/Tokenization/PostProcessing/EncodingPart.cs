namespace Lora.Llm.Tokenization;

/// <summary>A run of tokens on its way through the post-processors: a sequence, or special tokens put around it.</summary>
internal sealed class EncodingPart
{
    public List<int> Ids { get; } = [];

    /// <summary>Null where only ids were asked for.</summary>
    public List<string>? Tokens { get; init; }

    /// <summary>Null where only ids were asked for.</summary>
    public List<(int Start, int End)>? Offsets { get; init; }

    public int TypeId { get; set; }

    public bool IsSpecial { get; init; }
}
