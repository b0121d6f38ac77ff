using System.Text.Json;
using Lora.Serialization;

namespace Lora.Llm.Tokenization;

/// <summary>One value of a JSON file, with the file's name and the way to it, so that every complaint can say where.</summary>
/// <param name="file">The file's name.</param>
/// <param name="path">The way to the value, or to the array that it is in.</param>
/// <param name="element">The value.</param>
/// <param name="index">Its place in the array, or -1. Vocabularies are long arrays, so this becomes text only for a complaint.</param>
internal readonly struct JsonPart(string file, string path, JsonElement element, int index = -1)
{
    public string Path => index < 0 ? path : $"{path}[{index}]";

    public JsonElement Element { get; } = element;

    /// <summary>Reads a whole file. The document has to outlive the parts.</summary>
    /// <exception cref="InvalidDataException">The bytes are no JSON object.</exception>
    public static JsonDocument Parse(string file, ReadOnlyMemory<byte> bytes)
    {
        ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
        if (JsonText.FirstInvalid(bytes.Span) is >= 0 and int invalid)
        {
            throw new InvalidDataException($"'{file}' is not valid JSON: byte {invalid} is not UTF-8. Copy or download the file again.");
        }

        ReadOnlyMemory<byte> text = bytes.Span.StartsWith(mark) ? bytes[mark.Length..] : bytes;
        JsonDocument document;
        try
        {
            if (JsonText.FirstUnpaired(text.Span) is >= 0 and long unpaired)
            {
                throw new InvalidDataException($"'{file}' is not valid JSON: the text at byte {bytes.Length - text.Length + unpaired} holds an unpaired surrogate. Copy or download the file again.");
            }

            document = JsonDocument.Parse(text);
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"'{file}' is not valid JSON: {error.Message} Copy or download the file again.", error);
        }

        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            JsonValueKind kind = document.RootElement.ValueKind;
            document.Dispose();
            throw new InvalidDataException($"'{file}' should hold a JSON object, but holds {Describe(kind)}.");
        }

        return document;
    }

    /// <summary>The member, or null where it is absent or null.</summary>
    /// <exception cref="InvalidDataException">This value is no object.</exception>
    public JsonPart? Optional(string name) =>
        AsObject().TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null
            ? new JsonPart(file, Path.Length == 0 ? name : $"{Path}.{name}", value)
            : null;

    public JsonPart Required(string name) =>
        Optional(name) ?? throw new InvalidDataException(
            $"'{file}': {(Path.Length == 0 ? "the file" : Path)} lacks '{name}'. Save the tokenizer again with Hugging Face tokenizers.");

    public string String(string name) => Required(name).AsString();

    public string? OptionalString(string name) => Optional(name)?.AsString();

    public int Int32(string name) => Required(name).AsInt32();

    public bool Boolean(string name, bool absent)
    {
        if (Optional(name) is not { } part)
        {
            return absent;
        }

        return part.Element.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw part.Unexpected("true or false"),
        };
    }

    public string AsString() => Element.ValueKind == JsonValueKind.String ? Element.GetString()! : throw Unexpected("a string");

    public int AsInt32() =>
        Element.ValueKind == JsonValueKind.Number && Element.TryGetInt32(out int value) ? value : throw Unexpected("a 32-bit integer");

    /// <summary>A token's id.</summary>
    public int AsId() => AsInt32() is >= 0 and int id ? id : throw Invalid($"is the id {Element.GetRawText()}; ids are whole numbers from 0.");

    public JsonElement AsObject() => Element.ValueKind == JsonValueKind.Object ? Element : throw Unexpected("an object");

    /// <summary>The members of an object by name; where a name comes twice the last one counts.</summary>
    public IEnumerable<(string Name, JsonPart Value)> Members()
    {
        foreach (JsonProperty property in AsObject().EnumerateObject())
        {
            string name = property.Name;
            yield return (name, new JsonPart(file, $"{Path}.{name}", property.Value));
        }
    }

    public IEnumerable<JsonPart> Items()
    {
        if (Element.ValueKind != JsonValueKind.Array)
        {
            throw Unexpected("an array");
        }

        string whole = Path;
        int place = 0;
        foreach (JsonElement item in Element.EnumerateArray())
        {
            yield return new JsonPart(file, whole, item, place++);
        }
    }

    public InvalidDataException Unexpected(string wanted) =>
        new($"'{file}': {Path} should be {wanted}, but is {Describe(Element.ValueKind)}. Save the tokenizer again with Hugging Face tokenizers.");

    public InvalidDataException Invalid(string problem) => new($"'{file}': {Path} {problem}");

    public NotSupportedException Unsupported(string kind, params ReadOnlySpan<string> supported) =>
        new($"'{file}': {Path} is of kind '{kind}', which is not supported. Supported are: {string.Join(", ", supported!)}.");

    public NotSupportedException Unsupported(string problem) => new($"'{file}': {Path} {problem}");

    private static string Describe(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Array => "an array",
        JsonValueKind.Object => "an object",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number of another kind",
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => "null",
    };
}
