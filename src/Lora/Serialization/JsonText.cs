using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Lora.Serialization;

/// <summary>
/// Finds text in JSON that is none. The parser lets it pass and throws where it is asked for, at any later place and without saying where; looked for beforehand it
/// can be named.
/// </summary>
internal static class JsonText
{
    /// <summary>The first byte of a file that is not UTF-8, or −1.</summary>
    internal static int FirstInvalid(ReadOnlySpan<byte> utf8)
    {
        if (Utf8.IsValid(utf8)) return -1;
        int place = 0;
        while (Rune.DecodeFromUtf8(utf8[place..], out _, out int length) == OperationStatus.Done) place += length;
        return place;
    }

    /// <summary>Where the first text lies that holds half of a surrogate pair, such as <c>weight_map.x</c>, and whether it is the name of a field there; null where there is none.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    internal static (string Path, bool IsName)? Unpaired(ReadOnlyMemory<byte> utf8)
    {
        if (!MayHoldHalves(utf8.Span)) return null;
        using JsonDocument document = JsonDocument.Parse(utf8);
        return Unpaired(document.RootElement, "");
    }

    // Only an escape, \ud800 to \udfff, can be half of a pair in valid UTF-8, and few files have any.
    private static bool MayHoldHalves(ReadOnlySpan<byte> utf8)
    {
        for (int found = utf8.IndexOf("\\u"u8); found >= 0; found = utf8.IndexOf("\\u"u8))
        {
            utf8 = utf8[(found + 2)..];
            if (utf8.Length > 1 && (utf8[0] | 0x20) == 'd' && utf8[1] >= (byte)'8') return true;
        }
        return false;
    }

    private static (string Path, bool IsName)? Unpaired(JsonElement element, string path)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                return IsText(() => element.GetString()) ? null : (path, false);
            case JsonValueKind.Array:
                int place = 0;
                foreach (JsonElement item in element.EnumerateArray())
                {
                    if (Unpaired(item, string.Create(CultureInfo.InvariantCulture, $"{path}[{place++}]")) is { } found) return found;
                }
                return null;
            case JsonValueKind.Object:
                foreach (JsonProperty property in element.EnumerateObject())
                {
                    if (!IsText(() => property.Name)) return (path, true);
                    if (Unpaired(property.Value, path.Length == 0 ? property.Name : $"{path}.{property.Name}") is { } found) return found;
                }
                return null;
            default:
                return null;
        }
    }

    private static bool IsText(Func<string?> read)
    {
        try
        {
            read();
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }
}
