using System.Text;
using System.Text.Json;

namespace Lora.Serialization;

/// <summary>
/// PEFT's <c>adapter_config.json</c>. It keeps every field of a file that was read, known or not, in the file's order and in the file's own
/// number formats, so that writing it back gives the same bytes. What the fields mean is said by <see cref="ToLoraConfig"/>.
/// </summary>
public sealed class PeftAdapterConfig
{
    /// <summary>The file's name in an adapter's folder.</summary>
    public const string FileName = "adapter_config.json";

    private readonly OrderedDictionary<string, JsonElement> _fields;
    private readonly string _path;

    private PeftAdapterConfig(string path, OrderedDictionary<string, JsonElement> fields)
    {
        _path = path;
        _fields = fields;
        Remarks = [.. PeftConfigReader.Remarks(fields)];
    }

    /// <summary>The fields by name, in the order of the file.</summary>
    public IReadOnlyDictionary<string, JsonElement> Fields => _fields;

    /// <summary>What a reader should know although it prevents nothing: fields that are unknown and therefore without effect, an alpha of 0.</summary>
    public IReadOnlyList<string> Remarks { get; }

    /// <summary>Where the fields were found, for messages.</summary>
    internal string Path => _path;

    /// <summary>Whether the file says that weights are stored as <c>[in, out]</c>. PEFT saves what held for the last layer it adapted: not to be trusted for the others.</summary>
    internal bool FanInFanOut => _fields.TryGetValue("fan_in_fan_out", out JsonElement value) && value.ValueKind == JsonValueKind.True;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <returns>Its fields.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It does not hold a JSON object.</exception>
    public static PeftAdapterConfig Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Parse(path, File.ReadAllBytes(path));
    }

    /// <summary>Reads the text of a file.</summary>
    /// <param name="json">The text.</param>
    /// <returns>Its fields.</returns>
    /// <exception cref="AdapterFormatException">It is not a JSON object.</exception>
    public static PeftAdapterConfig Parse(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        return Parse(FileName, Encoding.UTF8.GetBytes(json));
    }

    /// <summary>Makes the file that PEFT would write for the same settings.</summary>
    /// <param name="config">The settings.</param>
    /// <returns>A file with every field of PEFT 0.20.</returns>
    public static PeftAdapterConfig From(LoraConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var fields = new OrderedDictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach ((string name, string json) in PeftConfigFields.Defaults)
        {
            fields.Add(name, PythonJson.Parse(json));
        }

        foreach ((string name, string json) in PeftConfigFields.Of(config))
        {
            fields[name] = PythonJson.Parse(json);
        }

        return new PeftAdapterConfig(FileName, fields);
    }

    /// <summary>Makes the file that PEFT would write for the same settings, for a model that is not at hand.</summary>
    internal static PeftAdapterConfig From(LoraConfig config, bool isTransposed)
    {
        PeftAdapterConfig file = From(config);
        file._fields["fan_in_fan_out"] = PythonJson.Parse(isTransposed ? "true" : "false");
        return file;
    }

    /// <summary>Makes the file that PEFT would write for the same settings and a model.</summary>
    /// <param name="config">The settings.</param>
    /// <param name="model">The model's type; PEFT notes it where no task is given.</param>
    /// <param name="isTransposed">Whether weights are stored as <c>[in, out]</c>.</param>
    internal static PeftAdapterConfig From(LoraConfig config, Type model, bool isTransposed)
    {
        PeftAdapterConfig file = From(config, isTransposed);
        if (config.TaskType is null)
        {
            string library = PythonJson.Quote(model.Namespace ?? model.Assembly.GetName().Name ?? "");
            file._fields["auto_mapping"] = PythonJson.Parse($"{{\"base_model_class\":{PythonJson.Quote(model.Name)},\"parent_library\":{library}}}");
        }

        return file;
    }

    /// <summary>Returns a copy that says what a configuration says, and otherwise what this file says. Fields that already mean the same are not touched.</summary>
    /// <param name="config">The settings.</param>
    /// <returns>The copy.</returns>
    public PeftAdapterConfig With(LoraConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var fields = new OrderedDictionary<string, JsonElement>(_fields, StringComparer.Ordinal);
        foreach ((string name, string json) in PeftConfigFields.Of(config))
        {
            JsonElement wanted = PythonJson.Parse(json);
            JsonElement current = fields.TryGetValue(name, out JsonElement written) ? written : PythonJson.Parse(PeftConfigFields.Defaults[name]);
            if (!PeftConfigFields.MeanTheSame(name, wanted, current))
            {
                fields[name] = wanted;
            }
        }

        return new PeftAdapterConfig(_path, fields);
    }

    /// <summary>Interprets the file; absent fields have PEFT's defaults.</summary>
    /// <returns>The settings.</returns>
    /// <exception cref="AdapterFormatException">
    /// A field is of the wrong type, has an impossible value, or asks for something that this version does not support. Every such field is listed.
    /// </exception>
    public LoraConfig ToLoraConfig()
    {
        var reader = new PeftConfigReader(_fields);
        LoraConfig config = reader.Read();
        return reader.Problems.Count == 0 ? config : throw new AdapterFormatException(_path, reader.Problems);
    }

    /// <summary>Returns the text of the file, in the form that Python gives it.</summary>
    /// <returns>JSON, indented by 2, ASCII only, without a final line break.</returns>
    public string ToJson() => PythonJson.Format(_fields);

    /// <summary>Writes the file. It appears under its name only when it is complete.</summary>
    /// <param name="path">The file to write or replace.</param>
    /// <exception cref="IOException">The file could not be written; one that was there before is unchanged.</exception>
    public void Save(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        AtomicFile.Write(path, Write);
    }

    internal void Write(Stream stream) => stream.Write(Encoding.ASCII.GetBytes(ToJson()));

    /// <summary>Takes fields that were found elsewhere than in a file of their own.</summary>
    internal static PeftAdapterConfig Of(string path, IEnumerable<KeyValuePair<string, JsonElement>> fields) => new(path, new OrderedDictionary<string, JsonElement>(fields, StringComparer.Ordinal));

    internal static PeftAdapterConfig Parse(string path, byte[] utf8)
    {
        using JsonDocument document = StrictJson.Parse(path, utf8);
        var fields = new OrderedDictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (JsonProperty property in document.RootElement.EnumerateObject())
        {
            fields.Add(property.Name, property.Value.Clone());
        }

        return new PeftAdapterConfig(path, fields);
    }
}
