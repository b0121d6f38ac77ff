namespace Lora.Llm.Loading;

/// <summary>The paths of a ViT in transformers 4 and 5.</summary>
internal static class ViTNames
{
    private const string Classic = "vit.encoder.layer.";
    private const string Modern = "vit.layers.";

    // The projection of the attention before that of the feed-forward part, whose path is the end of its own.
    private static readonly (string Classic, string Modern)[] _parts =
    [
        (".attention.attention.query.", ".attention.q_proj."), (".attention.attention.key.", ".attention.k_proj."), (".attention.attention.value.", ".attention.v_proj."),
        (".attention.output.dense.", ".attention.o_proj."), (".intermediate.dense.", ".mlp.fc1."), (".output.dense.", ".mlp.fc2."),
    ];

    /// <summary>The name of a tensor in one of the two spellings, whichever it is given in.</summary>
    internal static string Of(string name, bool classic)
    {
        (string from, string to) = classic ? (Modern, Classic) : (Classic, Modern);
        if (!name.StartsWith(from, StringComparison.Ordinal)) return name;
        string moved = to + name[from.Length..];
        foreach ((string old, string now) in _parts)
        {
            (string part, string other) = classic ? (now, old) : (old, now);
            if (moved.Contains(part, StringComparison.Ordinal)) return moved.Replace(part, other, StringComparison.Ordinal);
        }
        return moved;
    }
}
