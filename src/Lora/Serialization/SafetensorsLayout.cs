using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Serialization;

/// <summary>Which tensor goes where in a file, and the header that says so.</summary>
internal sealed class SafetensorsLayout
{
    private SafetensorsLayout(IReadOnlyList<(SafetensorsEntry Entry, Tensor Tensor)> tensors) => Tensors = tensors;

    internal IReadOnlyList<(SafetensorsEntry Entry, Tensor Tensor)> Tensors { get; }

    internal static SafetensorsLayout Of(IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        KeyValuePair<string, Tensor>[] all = [.. tensors];
        string[] problems = [.. all.Select(Problem).OfType<string>(), .. all.GroupBy(pair => pair.Key, StringComparer.Ordinal).Where(group => group.Count() > 1).Select(group => $"'{group.Key}' is given {group.Count()} times.")];
        if (problems.Length > 0)
        {
            throw new ArgumentException($"These tensors cannot be written: {string.Join(" ", problems)}", nameof(tensors));
        }

        Dictionary<string, Tensor> byName = all.ToDictionary(StringComparer.Ordinal);
        IReadOnlyList<SafetensorsEntry> entries = Place(all.Select(pair => (pair.Key, pair.Value.dtype.ToSafetensorsType()!.Value, ImmutableArray.Create(pair.Value.shape), pair.Value.NumberOfElements * pair.Value.ElementSize)));
        return new SafetensorsLayout([.. entries.Select(entry => (entry, byName[entry.Name]))]);
    }

    /// <summary>Gives tensors their places in a file: larger element types first, then by name.</summary>
    internal static IReadOnlyList<SafetensorsEntry> Place(IEnumerable<(string Name, SafetensorsType Type, ImmutableArray<long> Shape, long Bytes)> tensors)
    {
        var placed = new List<SafetensorsEntry>();
        long position = 0;
        foreach ((string name, SafetensorsType type, ImmutableArray<long> shape, long bytes) in tensors.OrderByDescending(tensor => tensor.Type).ThenBy(tensor => tensor.Name, CodePointOrder.Instance))
        {
            placed.Add(new SafetensorsEntry(name, type, shape, position, position + bytes));
            position += bytes;
        }

        return placed;
    }

    internal byte[] Header(IReadOnlyDictionary<string, string> metadata) => Header(metadata, Tensors.Select(tensor => tensor.Entry));

    /// <summary>The header of a file, padded to a multiple of 8 bytes.</summary>
    internal static byte[] Header(IReadOnlyDictionary<string, string> metadata, IEnumerable<SafetensorsEntry> entries)
    {
        var json = new StringBuilder("{");
        if (metadata.Count > 0)
        {
            AppendText(json, SafetensorsHeader.MetadataName).Append(":{");
            foreach ((string key, string value) in metadata)
            {
                AppendText(json, key).Append(':');
                AppendText(json, value).Append(',');
            }

            json.Length--;
            json.Append("},");
        }

        foreach (SafetensorsEntry entry in entries)
        {
            AppendText(json, entry.Name).Append(CultureInfo.InvariantCulture, $$""":{"dtype":"{{entry.Type.ToFileName()}}","shape":[{{string.Join(',', entry.Shape)}}],"data_offsets":[{{entry.Begin}},{{entry.End}}]},""");
        }

        json.Length -= json[^1] == ',' ? 1 : 0;
        byte[] bytes = new UTF8Encoding(false, throwOnInvalidBytes: true).GetBytes(json.Append('}').ToString());
        int padded = (bytes.Length + 7) / 8 * 8;
        if (padded > SafetensorsHeader.MaximumLength)
        {
            throw new ArgumentException($"The header would take {padded} bytes; the format allows {SafetensorsHeader.MaximumLength}. Write fewer tensors to one file.", nameof(metadata));
        }

        byte[] header = new byte[padded];
        bytes.CopyTo(header, 0);
        header.AsSpan(bytes.Length).Fill((byte)' ');
        return header;
    }

    private static string? Problem(KeyValuePair<string, Tensor> pair)
    {
        ArgumentNullException.ThrowIfNull(pair.Value, "tensors");
        return pair switch
        {
            { Key: SafetensorsHeader.MetadataName } => $"'{pair.Key}' is reserved.",
            _ when pair.Value.device.type == DeviceType.META => $"'{pair.Key}' is on the meta device and has no data.",
            _ when pair.Value.dtype.ToSafetensorsType() is null => $"'{pair.Key}' is of type {pair.Value.dtype}, which the format lacks.",
            _ => null,
        };
    }

    // The escapes of the reference implementation: short forms where JSON has them, everything above U+001F as it is.
    private static StringBuilder AppendText(StringBuilder json, string text)
    {
        json.Append('"');
        foreach (char c in text)
        {
            _ = c switch
            {
                '"' => json.Append("\\\""),
                '\\' => json.Append(@"\\"),
                '\b' => json.Append("\\b"),
                '\f' => json.Append("\\f"),
                '\n' => json.Append("\\n"),
                '\r' => json.Append("\\r"),
                '\t' => json.Append("\\t"),
                < ' ' => json.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => json.Append(c),
            };
        }

        return json.Append('"');
    }
}
