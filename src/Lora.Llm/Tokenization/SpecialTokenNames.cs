using System.Text.Json;
using Lora.Llm.Tokenization;

namespace Lora.Llm;

/// <summary>The tokens that play a part in training and generation, as <c>tokenizer_config.json</c> names them.</summary>
public sealed record SpecialTokenNames
{
    /// <summary>The token that begins a text. Default: none.</summary>
    public string? Bos { get; init; }

    /// <summary>The token that ends a text. Default: none.</summary>
    public string? Eos { get; init; }

    /// <summary>The token that fills a batch up. Default: none.</summary>
    public string? Pad { get; init; }

    /// <summary>The token for what is not in the vocabulary. Default: the one that the model names.</summary>
    public string? Unknown { get; init; }

    /// <summary>Reads <c>bos_token</c>, <c>eos_token</c>, <c>pad_token</c> and <c>unk_token</c> of a <c>tokenizer_config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The names; those that the file does not give are null.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is no JSON object, or a name is neither a string nor a token.</exception>
    public static SpecialTokenNames FromFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using JsonDocument document = JsonPart.Parse(path, File.ReadAllBytes(path));
        var root = new JsonPart(path, "", document.RootElement);
        return new SpecialTokenNames
        {
            Bos = Name(root, "bos_token"),
            Eos = Name(root, "eos_token"),
            Pad = Name(root, "pad_token"),
            Unknown = Name(root, "unk_token"),
        };
    }

    // A name is a string, or a token as an object.
    private static string? Name(JsonPart root, string key) => root.Optional(key) switch
    {
        null => null,
        { Element.ValueKind: JsonValueKind.Object } token => token.String("content"),
        { } name => name.AsString(),
    };
}
