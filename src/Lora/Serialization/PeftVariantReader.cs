using System.Text.Json;

namespace Lora.Serialization;

/// <summary>Reads the objects in PEFT's configuration file that ask for a variant of LoRA.</summary>
internal sealed class PeftVariantReader(IReadOnlyDictionary<string, JsonElement> fields, List<string> problems)
{
    internal BlockDiagonalOptions? Blocks() => Read("use_bdlora", settings => new BlockDiagonalOptions
    {
        DownModules = settings.Names("target_modules_bd_a"),
        UpModules = settings.Names("target_modules_bd_b"),
        Blocks = settings.Whole("nblocks", 1),
        IsStrict = settings.Truth("match_strict", true),
    });

    internal KasaOptions? Kasa() => Read("kasa_config", settings => new KasaOptions { Beta = settings.Number("beta", new KasaOptions().Beta), Gamma = settings.Number("gamma", new KasaOptions().Gamma) });

    private T? Read<T>(string name, Func<PeftSettings, T> read)
        where T : class
    {
        if (!fields.TryGetValue(name, out JsonElement value) || value.ValueKind is JsonValueKind.Null or JsonValueKind.False) return null;
        var settings = new PeftSettings(name, value, problems);
        T options = read(settings);
        settings.RefuseFurther();
        return options;
    }
}
