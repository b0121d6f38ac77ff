namespace Lora.Llm;

/// <summary>A token that is looked for in the text itself, before the model sees it: special tokens and those added later.</summary>
/// <param name="Id">The token's id.</param>
/// <param name="Content">Its text.</param>
public sealed record AddedToken(int Id, string Content)
{
    /// <summary>Whether decoding can leave it out as special. Default: false.</summary>
    public bool IsSpecial { get; init; }

    /// <summary>Whether it is looked for in the normalized text instead of the original. Default: false.</summary>
    public bool IsNormalized { get; init; }

    /// <summary>Whether it counts only where no letter, digit or underscore touches it. Default: false.</summary>
    public bool IsSingleWord { get; init; }

    /// <summary>Whether it takes the white space before it along. Default: false.</summary>
    public bool StripsLeft { get; init; }

    /// <summary>Whether it takes the white space behind it along. Default: false.</summary>
    public bool StripsRight { get; init; }

    /// <summary>Id and content.</summary>
    public override string ToString() => $"{Id}: {Content}";
}
