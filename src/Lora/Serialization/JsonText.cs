using System.Buffers;
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
    /// <summary>The first byte that is not UTF-8, or −1.</summary>
    internal static int FirstInvalid(ReadOnlySpan<byte> utf8)
    {
        if (Utf8.IsValid(utf8)) return -1;
        int place = 0;
        while (Rune.DecodeFromUtf8(utf8[place..], out _, out int length) == OperationStatus.Done) place += length;
        return place;
    }

    /// <summary>The byte at which the first name or text begins that holds half of a surrogate pair, or −1.</summary>
    /// <exception cref="JsonException">What comes before it is no JSON.</exception>
    internal static long FirstUnpaired(ReadOnlySpan<byte> json)
    {
        if (!MayHoldHalves(json)) return -1;
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
        {
            if (!reader.ValueIsEscaped) continue;
            try
            {
                reader.GetString();
            }
            catch (InvalidOperationException)
            {
                return reader.TokenStartIndex;
            }
        }
        return -1;
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
}
