using System.Text.Json;

namespace Lora.Serialization;

/// <summary>Parses the JSON files of the Python world: an object at the root, no comments, no name twice, text that is text.</summary>
internal static class StrictJson
{
    private static readonly JsonDocumentOptions _options = new() { AllowDuplicateProperties = false };

    internal static JsonDocument Parse(string path, ReadOnlyMemory<byte> utf8)
    {
        if (JsonText.FirstInvalid(utf8.Span) is >= 0 and int invalid) throw new AdapterFormatException(path, $"not valid JSON: byte {invalid} is not UTF-8.");
        // Editors on Windows put a byte order mark in front.
        ReadOnlyMemory<byte> json = utf8.Span.StartsWith("\uFEFF"u8) ? utf8[3..] : utf8;
        try
        {
            if (JsonText.Unpaired(json) is { } half)
                throw new AdapterFormatException(path, $"not valid JSON: {(half.IsName ? "a name in " : "")}{(half.Path.Length == 0 ? "the file" : half.Path)} holds an unpaired surrogate, which is no Unicode.");
            JsonDocument document = JsonDocument.Parse(json, _options);
            if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
            document.Dispose();
        }
        catch (JsonException exception)
        {
            throw new AdapterFormatException(path, $"not valid JSON: {exception.Message}", exception);
        }
        throw new AdapterFormatException(path, "it must hold a JSON object.");
    }
}
