using System.Globalization;
using System.Text.Json;
using Lora.Initialization;

namespace Lora.Serialization;

/// <summary>Reads what PEFT's configuration file tells of an adapter's start: <c>init_lora_weights</c> and the settings that belong to its value.</summary>
internal sealed class PeftInitializationReader(IReadOnlyDictionary<string, JsonElement> fields, List<string> problems)
{
    private const string Field = "init_lora_weights";
    private const string RandomizedPissa = "pissa_niter_";

    internal AdapterInitialization Read()
    {
        if (!fields.TryGetValue(Field, out JsonElement value)) return AdapterInitialization.Kaiming;
        switch (value.ValueKind)
        {
            case JsonValueKind.True or JsonValueKind.Null:
                return AdapterInitialization.Kaiming;
            case JsonValueKind.False:
                return AdapterInitialization.TorchDefault;
            case JsonValueKind.String when Named(value.GetString()!.ToLowerInvariant()) is AdapterInitialization named:
                return named;
            case JsonValueKind.String when string.Equals(value.GetString(), "loftq", StringComparison.OrdinalIgnoreCase):
                problems.Add($"{Field} is {value.GetRawText()}, which put quantised weights in the place of the base's: not supported by this version yet. PEFT can merge the adapter into the base (merge_and_unload).");
                return AdapterInitialization.Kaiming;
            default:
                problems.Add($"{Field} is {value.GetRawText()}, which is no initialisation that PEFT knows.");
                return AdapterInitialization.Kaiming;
        }
    }

    private AdapterInitialization? Named(string name) => name switch
    {
        "gaussian" => AdapterInitialization.Gaussian,
        "orthogonal" => AdapterInitialization.Orthogonal,
        "pissa" => AdapterInitialization.Pissa,
        "olora" => AdapterInitialization.Olora,
        "mica" => AdapterInitialization.Mica,
        "eva" => Eva(),
        "corda" => Corda(),
        "lora_ga" => LoraGa(),
        _ when name.StartsWith(RandomizedPissa, StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(RandomizedPissa.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int iterations) && iterations > 0
            => new PissaInitialization { Iterations = iterations },
        _ => null,
    };

    private EvaInitialization Eva()
    {
        PeftSettings settings = Settings("eva_config");
        return new EvaInitialization
        {
            Rho = settings.Number("rho", 2),
            Tau = settings.Number("tau", 0.99),
            Whiten = settings.Truth("whiten", false),
            AdjustScale = settings.Truth("adjust_scaling_factors", true),
            Further = settings.Further ?? new EvaInitialization().Further,
        };
    }

    private CordaInitialization Corda()
    {
        PeftSettings settings = Settings("corda_config");
        return new CordaInitialization
        {
            Method = settings.Choice("corda_method", name => name switch { "ipm" => CordaMethod.InstructionPreviewed, "kpm" => CordaMethod.KnowledgePreserved, _ => (CordaMethod?)null }, default),
            Further = settings.Further ?? new CordaInitialization().Further,
        };
    }

    private LoraGaInitialization LoraGa()
    {
        PeftSettings settings = Settings("lora_ga_config");
        return new LoraGaInitialization
        {
            Direction = settings.Choice("direction", LoraGaNames.Direction, default),
            Scale = settings.Choice("scale", LoraGaNames.Scale, default),
            StableGamma = settings.Number("stable_gamma", 16),
            Further = settings.Further ?? new LoraGaInitialization().Further,
        };
    }

    private PeftSettings Settings(string name) => new(name, fields.TryGetValue(name, out JsonElement value) ? value : default, problems);
}
