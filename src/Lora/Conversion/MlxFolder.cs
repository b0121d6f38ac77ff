using System.Text.Json;
using Lora.Serialization;

namespace Lora.Conversion;

/// <summary>The two files of an adapter of mlx-lm.</summary>
internal sealed class MlxFolder : IDisposable
{
    internal const string ConfigName = "adapter_config.json";
    internal const string WeightsName = "adapters.safetensors";

    private MlxFolder(SafetensorsFile weights, double scale, double dropout) => (Weights, Scale, Dropout) = (weights, scale, dropout);

    internal SafetensorsFile Weights { get; }

    /// <summary>What multiplies the product of every layer.</summary>
    internal double Scale { get; }

    internal double Dropout { get; }

    /// <exception cref="AdapterFormatException">A file is missing or damaged, or holds no adapter; every problem of the settings is listed.</exception>
    internal static MlxFolder Open(string path)
    {
        AdapterFolder.ThrowIfMissing(path);
        string[] missing = [.. new[] { ConfigName, WeightsName }.Where(name => !File.Exists(Path.Combine(path, name))).Select(name => $"{name}: there is no such file.")];
        if (missing.Length > 0) throw new AdapterFormatException(path, missing);
        string file = Path.Combine(path, ConfigName);
        using JsonDocument config = StrictJson.Parse(file, File.ReadAllBytes(file));
        var problems = new List<string>();
        if (config.RootElement.TryGetProperty("fine_tune_type", out JsonElement type) && type.ToString() != "lora")
            problems.Add($"fine_tune_type is {type.GetRawText()}, but only \"lora\" is converted" + (type.ToString() == "full" ? ": give the two models to LoraExtraction" : ""));
        bool found = config.RootElement.TryGetProperty("lora_parameters", out JsonElement parameters) && parameters.ValueKind == JsonValueKind.Object;
        if (!found) problems.Add("it has no lora_parameters");
        double scale = found ? Number(parameters, "scale", null, problems) : 0;
        double dropout = found ? Number(parameters, "dropout", 0, problems) : 0;
        if (dropout is not (>= 0 and <= 1)) problems.Add(FormattableString.Invariant($"lora_parameters.dropout is {dropout}, but must be a probability from 0 to 1"));
        if (problems.Count > 0) throw new AdapterFormatException(file, problems);
        return new MlxFolder(SafetensorsFile.Open(Path.Combine(path, WeightsName)), scale, dropout);
    }

    public void Dispose() => Weights.Dispose();

    private static double Number(JsonElement parameters, string name, double? fallback, List<string> problems)
    {
        if (parameters.TryGetProperty(name, out JsonElement value))
        {
            if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number)) return number;
            problems.Add($"lora_parameters.{name} is {value.GetRawText()}, but a number is needed");
        }
        else if (fallback is null)
        {
            problems.Add($"lora_parameters has no {name}");
        }
        return fallback ?? 0;
    }
}
