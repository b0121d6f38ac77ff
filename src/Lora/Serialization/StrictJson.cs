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
        int mark = utf8.Span.StartsWith("\uFEFF"u8) ? 3 : 0;
        ReadOnlyMemory<byte> json = utf8[mark..];
        try
        {
            if (JsonText.FirstUnpaired(json.Span) is >= 0 and long unpaired) throw new AdapterFormatException(path, $"not valid JSON: the text at byte {mark + unpaired} holds an unpaired surrogate.");
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
