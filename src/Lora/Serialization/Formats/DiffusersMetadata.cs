using System.Text;
using System.Text.Json;

namespace Lora.Serialization.Formats;

/// <summary>PEFT's configuration in the remarks of a diffusers file, each field behind the prefix of its model.</summary>
internal static class DiffusersMetadata
{
    internal const string Key = "lora_adapter_metadata";

    // What every version of PEFT knows. It refuses files with fields that it does not know, so others are written only where they say something.
    private static readonly string[] _always = ["alpha_pattern", "bias", "lora_alpha", "lora_dropout", "peft_type", "r", "rank_pattern", "target_modules", "use_rslora"];

    /// <summary>Reads the fields for a prefix; null where there are none.</summary>
    /// <exception cref="AdapterFormatException">The remark is no JSON object.</exception>
    internal static PeftAdapterConfig? Read(string path, IReadOnlyDictionary<string, string> metadata, string prefix)
    {
        if (!metadata.TryGetValue(Key, out string? json)) return null;
        using JsonDocument document = StrictJson.Parse($"{path} ({Key})", Encoding.UTF8.GetBytes(json));
        KeyValuePair<string, JsonElement>[] fields =
        [
            .. document.RootElement.EnumerateObject().Where(field => field.Name.StartsWith(prefix, StringComparison.Ordinal)).Select(field => KeyValuePair.Create(field.Name[prefix.Length..], field.Value.Clone()))
                // PEFT's fields have no dots: what has is another model's.
                .Where(field => !field.Key.Contains('.', StringComparison.Ordinal)),
        ];
        return fields.Length == 0 ? null : PeftAdapterConfig.Of($"{path} ({Key})", fields);
    }

    /// <summary>Puts in what a configuration needs, where the fields do not say it: some programs write rank and alpha only.</summary>
    internal static PeftAdapterConfig Complete(PeftAdapterConfig settings, LoraConfig found) => PeftAdapterConfig.Of(settings.Path, settings.Fields
        .Where(field => field.Value.ValueKind != JsonValueKind.Null)
        .Concat(PeftAdapterConfig.From(found).Fields.Where(field => field.Key is "peft_type" or "target_modules"))
        .DistinctBy(field => field.Key));

    /// <summary>Writes the fields.</summary>
    internal static string Write(LoraConfig config, string prefix)
    {
        IReadOnlyDictionary<string, JsonElement> fields = PeftAdapterConfig.From(config).Fields;
        return PythonJson.Format(fields
            .Where(field => _always.Contains(field.Key) || !PeftConfigFields.MeanTheSame(field.Key, field.Value, PythonJson.Parse(PeftConfigFields.Defaults[field.Key])))
            .Select(field => KeyValuePair.Create(prefix + field.Key, field.Value))
            .OrderBy(field => field.Key, CodePointOrder.Instance));
    }
}
