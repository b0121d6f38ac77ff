using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Lora.Serialization;

/// <summary>
/// Reads the JSON header of a safetensors file and holds it to the format's rules: the byte ranges must cover the data exactly, in any
/// order, without overlap and without holes. What the reference implementation lets pass and a reader could misunderstand (the same name
/// twice) is refused as well.
/// </summary>
internal sealed class SafetensorsHeader
{
    internal const int LengthBytes = 8;
    internal const long MaximumLength = 100_000_000;
    internal const string MetadataName = "__metadata__";

    // torch's own limit.
    private const int MaximumDimensions = 64;

    // A header of 100 MB has room for millions of offences or for a name of its own length, whose text would take gigabytes.
    private const int ProblemsListed = 100;
    private const int LongestProblem = 1000;

    private static readonly string[] _fields = ["dtype", "shape", "data_offsets"];

    private readonly List<string> _problems = [];
    private readonly Dictionary<string, SafetensorsEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);
    private long _problemCount;

    private SafetensorsHeader()
    {
    }

    internal IReadOnlyDictionary<string, SafetensorsEntry> Entries => _entries;

    internal IReadOnlyDictionary<string, string> Metadata => _metadata;

    internal static SafetensorsHeader Parse(string path, ReadOnlySpan<byte> json, long dataLength)
    {
        if (JsonText.FirstInvalid(json) is >= 0 and int invalid)
        {
            throw new AdapterFormatException(path, $"the header is not valid UTF-8 at byte {LengthBytes + invalid} of the file.");
        }

        var header = new SafetensorsHeader();
        try
        {
            header.Read(json);
        }
        catch (JsonException exception)
        {
            throw new AdapterFormatException(path, $"the header is not valid JSON: {exception.Message}", exception);
        }

        if (header._problemCount == 0)
        {
            header.CheckCoverage(dataLength);
        }

        return header._problemCount == 0 ? header : throw new AdapterFormatException(path, header.ProblemsFound());
    }

    private static string ReadName(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException exception)
        {
            // An escaped half of a surrogate pair is valid JSON and no text.
            throw new JsonException($"the text at byte {LengthBytes + reader.TokenStartIndex} of the file holds an unpaired surrogate.", exception);
        }
    }

    // Large checkpoints say the same three names for thousands of tensors.
    private static string ReadField(ref Utf8JsonReader reader)
    {
        foreach (string field in _fields)
        {
            if (!reader.ValueIsEscaped && reader.ValueTextEquals(field)) return field;
        }

        return ReadName(ref reader);
    }

    private void Read(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("it must be an object.");
        }

        bool sawMetadata = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = ReadName(ref reader);
            reader.Read();
            if (name == MetadataName)
            {
                Require(!sawMetadata, $"{MetadataName} appears twice.");
                sawMetadata = true;
                ReadMetadata(ref reader);
            }
            else if (ReadEntry(ref reader, name) is { } entry && !_entries.TryAdd(name, entry))
            {
                Report($"tensor '{name}' appears twice.");
            }
        }

        // Only white space may follow; anything else makes the reader throw.
        reader.Read();
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            Report($"{MetadataName} must be an object of strings.");
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = ReadName(ref reader);
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                Report($"{MetadataName} must hold strings only, but '{key}' is a {Describe(reader.TokenType)}.");
                reader.Skip();
            }
            else
            {
                Require(_metadata.TryAdd(key, ReadName(ref reader)), $"{MetadataName} has the key '{key}' twice.");
            }
        }
    }

    private SafetensorsEntry? ReadEntry(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            Report($"tensor '{name}' must be described by an object, not by a {Describe(reader.TokenType)}.");
            reader.Skip();
            return null;
        }

        SafetensorsType? type = null;
        long[]? shape = null, offsets = null;
        long before = _problemCount;
        Span<bool> seen = stackalloc bool[_fields.Length];
        HashSet<string>? others = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string field = ReadField(ref reader);
            int known = Array.IndexOf(_fields, field);
            Require(known >= 0 ? !seen[known] : (others ??= new HashSet<string>(StringComparer.Ordinal)).Add(field), $"tensor '{name}' has '{field}' twice.");
            if (known >= 0) seen[known] = true;
            reader.Read();
            switch (field)
            {
                case "dtype":
                    type = ReadType(ref reader, name);
                    break;
                case "shape":
                    shape = ReadNumbers(ref reader, name, field);
                    break;
                case "data_offsets":
                    offsets = ReadNumbers(ref reader, name, field);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        for (int i = 0; i < _fields.Length; i++) Require(seen[i], $"tensor '{name}' has no {_fields[i]}.");

        Require(offsets is null or { Length: 2 }, $"tensor '{name}': data_offsets must be two numbers.");
        return _problemCount > before ? null : Check(name, type!.Value, shape!, offsets![0], offsets[1]);
    }

    private SafetensorsEntry? Check(string name, SafetensorsType type, long[] shape, long begin, long end)
    {
        if (begin > end)
        {
            Report($"tensor '{name}': data_offsets begin at {begin}, behind their end {end}.");
            return null;
        }

        // In 128 bits: a shape may name more elements than 64 bits can count. 0 anywhere makes the whole 0, but torch reckons with the other sizes all the same.
        Int128 bits = type.BitsPerElement();
        foreach (long size in shape)
        {
            bits *= Math.Max(size, 1);
            if (bits > long.MaxValue)
            {
                Report($"tensor '{name}': its shape [{string.Join(", ", shape)}] is too large.");
                return null;
            }
        }

        if (shape.Contains(0)) bits = 0;
        if (bits % 8 != 0 || bits / 8 != end - begin)
        {
            Report($"tensor '{name}': {type.ToFileName()} [{string.Join(", ", shape)}] takes {bits / 8} bytes, but data_offsets [{begin}, {end}] span {end - begin}.");
            return null;
        }

        return new SafetensorsEntry(name, type, ImmutableArray.Create(shape), begin, end);
    }

    private SafetensorsType? ReadType(ref Utf8JsonReader reader, string name)
    {
        string? text = reader.TokenType == JsonTokenType.String ? ReadName(ref reader) : null;
        if (text is not null && SafetensorsTypeExtensions.TryParse(text, out SafetensorsType type))
        {
            return type;
        }

        Report($"tensor '{name}': dtype {(text is null ? "must be a string" : $"'{text}' is unknown")}; the format has {SafetensorsTypeExtensions.AllNames}.");
        reader.Skip();
        return null;
    }

    private long[]? ReadNumbers(ref Utf8JsonReader reader, string name, string field)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            Report($"tensor '{name}': {field} must be an array of integers.");
            reader.Skip();
            return null;
        }

        var numbers = new List<long>();
        bool valid = true, few = true;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            few &= numbers.Count < MaximumDimensions;
            if (!few)
            {
                reader.Skip();
            }
            else if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long number) && number >= 0)
            {
                numbers.Add(number);
            }
            else
            {
                valid = false;
                reader.Skip();
            }
        }

        Require(valid, $"tensor '{name}': {field} must hold non-negative 64-bit integers only.");
        Require(few, $"tensor '{name}': {field} must hold no more than {MaximumDimensions} numbers.");
        return valid && few ? [.. numbers] : null;
    }

    private void CheckCoverage(long dataLength)
    {
        long position = 0;
        SafetensorsEntry? previous = null;
        foreach (SafetensorsEntry entry in _entries.Values.OrderBy(entry => entry.Begin).ThenBy(entry => entry.End))
        {
            Require(entry.Begin >= position, $"tensor '{entry.Name}' begins at byte {entry.Begin} and shares bytes with {(previous is null ? "the header" : $"tensor '{previous.Name}'")}, which ends at {position}.");
            Require(entry.Begin <= position, $"bytes {position} to {entry.Begin}, before tensor '{entry.Name}', belong to no tensor.");
            position = Math.Max(position, entry.End);
            previous = entry;
        }

        Require(position <= dataLength, $"the tensors need {position} bytes of data, but the file holds {dataLength}: it is cut off, or its offsets are wrong.");
        Require(position >= dataLength, $"{dataLength - position} bytes behind the last tensor belong to none.");
    }

    private void Require(bool condition, [InterpolatedStringHandlerArgument(nameof(condition))] ProblemText problem)
    {
        if (!condition)
        {
            Report(problem.ToString());
        }
    }

    private void Report(string problem)
    {
        if (++_problemCount <= ProblemsListed)
        {
            _problems.Add(problem.Length <= LongestProblem ? problem : $"{problem.AsSpan(0, LongestProblem)}…");
        }
    }

    private IEnumerable<string> ProblemsFound() => _problemCount <= ProblemsListed
        ? _problems
        : _problems.Append(string.Create(CultureInfo.InvariantCulture, $"{_problemCount - ProblemsListed} more problems are not listed."));

    private static string Describe(JsonTokenType type) => type switch
    {
        JsonTokenType.StartObject => "object",
        JsonTokenType.StartArray => "array",
        JsonTokenType.String => "string",
        JsonTokenType.Number => "number",
        JsonTokenType.Null => "null",
        _ => "truth value",
    };
}
