using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Lora.Serialization;

/// <summary>Writes JSON exactly as Python's <c>json.dumps(value, indent=2)</c> does, ASCII only. Numbers keep the form that they were read in.</summary>
internal static class PythonJson
{
    internal static string Format(IEnumerable<KeyValuePair<string, JsonElement>> fields)
    {
        var text = new StringBuilder();
        AppendObject(text, fields, indent: 0);
        return text.ToString();
    }

    /// <summary>Quotes and escapes a string.</summary>
    internal static string Quote(string value) => AppendText(new StringBuilder(), value).ToString();

    /// <summary>Python's <c>repr</c> of a float: the shortest digits that come back to the same number, always with a point or an exponent.</summary>
    internal static string Float(double value)
    {
        // Both languages agree on the shortest digits, but not on when to use an exponent: get them in one form, then lay them out.
        string shortest = value.ToString("E16", CultureInfo.InvariantCulture);
        for (int precision = 0; precision <= 16; precision++)
        {
            string candidate = value.ToString($"E{precision}", CultureInfo.InvariantCulture);
            if (double.Parse(candidate, CultureInfo.InvariantCulture).Equals(value))
            {
                shortest = candidate;
                break;
            }
        }

        int mark = shortest.IndexOf('E', StringComparison.Ordinal);
        int exponent = int.Parse(shortest.AsSpan(mark + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        if (exponent is < -4 or >= 16)
        {
            return $"{shortest[..mark]}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        }

        string plain = "0";
        if (value != 0)
        {
            string digits = shortest[..mark].Replace(".", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal);
            plain = exponent < 0
                ? $"0.{new string('0', -exponent - 1)}{digits}"
                : digits.PadRight(exponent + 1, '0').Insert(exponent + 1, digits.Length > exponent + 1 ? "." : "");
        }

        return (double.IsNegative(value) ? "-" : "") + (plain.Contains('.', StringComparison.Ordinal) ? plain : plain + ".0");
    }

    /// <summary>Writes a number as Python would write it had it come from a script: whole numbers without a point.</summary>
    internal static string Number(double value) => Math.Abs(value) < 1e15 && Math.Truncate(value).Equals(value)
        ? ((long)value).ToString(CultureInfo.InvariantCulture)
        : Float(value);

    internal static string Truth(bool value) => value ? "true" : "false";

    /// <summary>An object of fields that are written already, in the order of their names.</summary>
    internal static string Object(IEnumerable<string> fields) => $"{{{string.Join(',', fields.Order(StringComparer.Ordinal))}}}";

    internal static JsonElement Parse(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }

    private static void Append(StringBuilder text, JsonElement value, int indent)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                AppendObject(text, value.EnumerateObject().Select(property => KeyValuePair.Create(property.Name, property.Value)), indent);
                break;
            case JsonValueKind.Array:
                AppendItems(text, '[', ']', value.EnumerateArray(), indent, Append);
                break;
            case JsonValueKind.String:
                AppendText(text, value.GetString()!);
                break;
            default:
                text.Append(value.GetRawText());
                break;
        }
    }

    private static void AppendObject(StringBuilder text, IEnumerable<KeyValuePair<string, JsonElement>> fields, int indent) =>
        AppendItems(text, '{', '}', fields, indent, static (text, field, indent) => Append(AppendText(text, field.Key).Append(": "), field.Value, indent));

    private static void AppendItems<T>(StringBuilder text, char open, char close, IEnumerable<T> items, int indent, Action<StringBuilder, T, int> append)
    {
        text.Append(open);
        int count = 0;
        foreach (T item in items)
        {
            text.Append(count++ > 0 ? "," : "").Append('\n').Append(' ', indent + 2);
            append(text, item, indent + 2);
        }

        if (count > 0)
        {
            text.Append('\n').Append(' ', indent);
        }

        text.Append(close);
    }

    private static StringBuilder AppendText(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (char c in value)
        {
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append(@"\\"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                >= ' ' and <= '~' => text.Append(c),
                _ => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
            };
        }

        return text.Append('"');
    }
}
