using System.Text.Json;

namespace Lora.Serialization;

/// <summary>Parses the JSON files of the Python world: an object at the root, no comments, no name twice, text that is text.</summary>
internal static class StrictJson
{
    private static readonly JsonDocumentOptions _options = new() { AllowDuplicateProperties = false };

    internal static JsonDocument Parse(string path, ReadOnlyMemory<byte> utf8)
    {
        // Editors on Windows put a byte order mark in front.
        ReadOnlyMemory<byte> json = utf8.Span.StartsWith("\uFEFF"u8) ? utf8[3..] : utf8;
        try
        {
            JsonDocument document = JsonDocument.Parse(json, _options);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                CheckText(document.RootElement);
                return document;
            }

            document.Dispose();
        }
        catch (JsonException exception)
        {
            throw new AdapterFormatException(path, $"not valid JSON: {exception.Message}", exception);
        }
        catch (InvalidOperationException exception)
        {
            throw new AdapterFormatException(path, "not valid JSON: it holds text that is no Unicode (an unpaired surrogate or invalid UTF-8).", exception);
        }

        throw new AdapterFormatException(path, "it must hold a JSON object.");
    }

    // The parser checks text only when it is read; asking for all of it here keeps that exception out of every later place.
    private static void CheckText(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                _ = element.GetString();
                break;
            case JsonValueKind.Array:
                foreach (JsonElement item in element.EnumerateArray())
                {
                    CheckText(item);
                }

                break;
            case JsonValueKind.Object:
                foreach (JsonProperty property in element.EnumerateObject())
                {
                    _ = property.Name;
                    CheckText(property.Value);
                }

                break;
        }
    }
}
