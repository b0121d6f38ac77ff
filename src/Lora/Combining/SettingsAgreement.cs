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
        "lora_dropout", "inference_mode", "base_model_name_or_path", "task_type", "fan_in_fan_out",
    ];

    // What all adapters must have alike; every other setting must be the default.
    private static readonly HashSet<string> _common = ["lora_bias"];

    // Other initialisations take something out of the base, so that A and B alone are not the difference.
    private static readonly HashSet<string> _plainInitializers = ["true", "false", "null", "\"gaussian\"", "\"orthogonal\"", "\"eva\"", "\"mica\""];

    internal static IEnumerable<string> Problems(CombineRequest request)
    {
        Dictionary<string, string> plain = PeftConfigFields.Of(new LoraConfig()).ToDictionary(StringComparer.Ordinal);
        var common = new Dictionary<string, (string Adapter, string Value)>(StringComparer.Ordinal);
        foreach (var source in request.Sources)
        {
            foreach ((string field, string value) in PeftConfigFields.Of(source.Config).Where(field => !_free.Contains(field.Key)))
            {
                if (!_common.Contains(field))
                {
                    bool harmless = value == plain[field] || (field == "init_lora_weights" && _plainInitializers.Contains(value));
                    if (!harmless) yield return $"'{source.Name}' has {field} {value}, which cannot be combined";
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
