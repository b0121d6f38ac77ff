using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>How blanks are written as a visible character: shared by the pre-tokenizer and the decoder.</summary>
internal sealed record MetaspaceScheme(string Replacement, MetaspacePrefix Prefix, bool Splits)
{
    public static MetaspaceScheme Read(JsonPart part)
    {
        string replacement = part.String("replacement");
        if (Rune.DecodeFromUtf16(replacement, out _, out int length) != System.Buffers.OperationStatus.Done || length != replacement.Length)
        {
            throw part.Invalid($"has the replacement '{replacement}', which should be one character.");
        }

        string? scheme = part.OptionalString("prepend_scheme");
        MetaspacePrefix prefix = scheme switch
        {
            null or "always" => MetaspacePrefix.Always,
            "first" => MetaspacePrefix.First,
            "never" => MetaspacePrefix.Never,
            _ => throw part.Unsupported(scheme, "always", "first", "never"),
        };
        if (!part.Boolean("add_prefix_space", true))
        {
            if (scheme is not (null or "never"))
            {
                throw part.Invalid($"says add_prefix_space = false and prepend_scheme = '{scheme}', which contradict each other. Remove one.");
            }

            prefix = MetaspacePrefix.Never;
        }

        return new MetaspaceScheme(replacement, prefix, part.Boolean("split", true));
    }

    public MetaspacePreTokenizer ToPreTokenizer() => new(this);
}
