using Lora.Layers;
using Lora.Serialization;

namespace Lora.Combining;

/// <summary>
/// Whether the adapters' settings let one adapter stand for them. Settings are compared by PEFT's names and values, so that one which is added to the configuration later
/// is refused until somebody has thought about it.
/// </summary>
internal static class SettingsAgreement
{
    // What the new adapter gets anew, or what says nothing about what an adapter computes.
    private static readonly HashSet<string> _free =
    [
        "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
        "lora_dropout", "init_lora_weights", "corda_config", "eva_config", "lora_ga_config", "inference_mode", "base_model_name_or_path", "task_type", "fan_in_fan_out",
    ];

    // What all adapters must have alike; every other setting must be the default.
    private static readonly HashSet<string> _common = ["lora_bias"];

    // A and B alone are not the difference where the start is a part of the base.
    private static bool HasStart(CombineRequest request, string name) =>
        request.Layers.Select(layer => layer.Layer.Adapters.Find(name)).OfType<LoraAdapter>().Any(adapter => adapter is LinearAdapter { HasStart: true });

    internal static IEnumerable<string> Problems(CombineRequest request)
    {
        Dictionary<string, string> plain = PeftConfigFields.Of(new LoraConfig()).ToDictionary(StringComparer.Ordinal);
        var common = new Dictionary<string, (string Adapter, string Value)>(StringComparer.Ordinal);
        foreach (var source in request.Sources)
        {
            if (source.Config.Initialization is { ChangesBase: true } initialization && (request.Options.PeftCompatible || !HasStart(request, source.Name)))
            {
                yield return $"'{source.Name}' has {initialization.Name}, of which "
                    + (request.Options.PeftCompatible ? "PEFT would combine A and B without what it took off the base: do without PeftCompatible" : "the base weights hold the other part: its A and B alone are not what it adds");
            }
            foreach ((string field, string value) in PeftConfigFields.Of(source.Config).Where(field => !_free.Contains(field.Key)))
            {
                if (!_common.Contains(field))
                {
                    if (value != plain[field]) yield return $"'{source.Name}' has {field} {value}, which cannot be combined";
                }
                else if (!common.TryAdd(field, (source.Name, value)) && common[field].Value != value)
                {
                    yield return $"'{source.Name}' has {field} {value}, but '{common[field].Adapter}' has {common[field].Value}: combine adapters of one kind";
                }
            }
        }
        if (request.Options.PeftCompatible && request.Sources.Select(source => source.Config.TargetModules?.Names is null).Distinct().Count() > 1)
            yield return "target_modules is a list in some of the adapters and a regular expression in others, which PEFT does not combine: do without PeftCompatible";
    }
}
