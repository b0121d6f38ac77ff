namespace Lora.Llm.Tokenization;

/// <summary>Which pieces get the replacement character put before them.</summary>
internal enum MetaspacePrefix
{
    Always,
    First,
    Never,
}
