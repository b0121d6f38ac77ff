using System.Text.Encodings.Web;
using System.Text.Json;

namespace PretrainBase;

internal static class Json
{
    /// <summary>No escapes but those that JSON asks for.</summary>
    internal static JsonSerializerOptions Plain { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The same over several lines.</summary>
    internal static JsonSerializerOptions Readable { get; } = new(Plain) { WriteIndented = true };
}
