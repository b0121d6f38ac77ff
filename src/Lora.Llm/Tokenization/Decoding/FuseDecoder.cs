namespace Lora.Llm.Tokenization;

/// <summary>Joins all tokens, so that the steps behind it see one.</summary>
internal sealed class FuseDecoder : TokenDecoder
{
    public override IReadOnlyList<string> Decode(IReadOnlyList<string> tokens) => [string.Concat(tokens)];
}
