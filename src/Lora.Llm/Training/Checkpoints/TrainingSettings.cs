using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;

namespace Lora.Llm.Training.Checkpoints;

/// <summary>What has to be the same for a training to go on: a checkpoint holds it by name, so that all differences can be told.</summary>
internal static class TrainingSettings
{
    // They say where things are, or what the file is for, and change no number.
    private static readonly string[] _harmless = ["base_model_name_or_path", "revision", "inference_mode", "peft_version", "task_type"];

    internal static SortedDictionary<string, string> Of(TrainingOptions options, int totalSteps, IReadOnlyDictionary<string, string> objective)
    {
        var settings = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            [nameof(options.Seed)] = Text(options.Seed),
            [nameof(options.BatchSize)] = Text(options.BatchSize),
            [nameof(options.GradientAccumulation)] = Text(options.GradientAccumulation),
            [nameof(options.GroupByLength)] = options.PackedLength is null ? Text(options.GroupByLength) : "of no matter",
            [nameof(options.PackedLength)] = Text(options.PackedLength),
            [nameof(options.PadTokenId)] = Text(options.PadTokenId),
            [nameof(options.LearningRate)] = Text(options.LearningRate),
            [nameof(options.UpRatio)] = Text(options.UpRatio),
            [nameof(options.WarmupSteps)] = Text(options.WarmupSteps),
            [nameof(options.Schedule)] = Text(options.Schedule),
            [nameof(options.WeightDecay)] = Text(options.WeightDecay),
            [nameof(options.MaxGradientNorm)] = Text(options.MaxGradientNorm),
            [nameof(options.LossScale)] = Text(options.LossScale),
            [nameof(options.LossScaleInterval)] = options.LossScale is null ? "of no matter" : Text(options.LossScaleInterval),
            // A constant rate does not know where the end is, so such a training can be made longer.
            ["the number of steps"] = options.Schedule == ScheduleKind.Constant ? "of no matter" : Text(totalSteps),
        };
        foreach ((string name, string value) in objective) settings.Add($"the objective's {name}", value);
        return settings;
    }

    /// <summary>Adds the settings of the adapters, in PEFT's words.</summary>
    internal static void AddAdapters<TModel>(SortedDictionary<string, string> settings, LoraModel<TModel> lora)
        where TModel : CausalLanguageModel
    {
        settings.Add("the active adapters", string.Join(" + ", lora.ActiveAdapters));
        foreach (string name in lora.AdapterNames)
        {
            foreach ((string field, JsonElement value) in lora.ConfigFile(name).Fields)
                if (!_harmless.Contains(field)) settings.Add($"{field} of adapter '{name}'", value.GetRawText());
        }
    }

    /// <summary>A hash of all examples.</summary>
    internal static string HashOf<TExample>(TrainingObjective<TExample> objective, IReadOnlyList<TExample> examples)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (TrainingExample text in examples.SelectMany(objective.TextsOf))
        {
            foreach (IReadOnlyList<int> numbers in (IReadOnlyList<int>[])[text.InputIds, text.Labels, text.Starts])
            {
                int[] counted = [numbers.Count, .. numbers];
                hash.AppendData(MemoryMarshal.AsBytes(counted.AsSpan()));
            }
        }
        return $"{examples.Count} examples with the hash {Convert.ToHexStringLower(hash.GetHashAndReset())[..16]}";
    }

    /// <exception cref="InvalidOperationException">Something differs; all of it is listed.</exception>
    internal static void ThrowIfDifferent(string path, IReadOnlyDictionary<string, string> here, IReadOnlyDictionary<string, string> there)
    {
        string[] differences =
        [
            .. here.Keys.Union(there.Keys).Order(StringComparer.Ordinal).Where(name => here.GetValueOrDefault(name) != there.GetValueOrDefault(name))
                .Select(name => $"\n  - {name}: {here.GetValueOrDefault(name, "not there")} here, {there.GetValueOrDefault(name, "not there")} in the checkpoint"),
        ];
        if (differences.Length == 0) return;
        throw new InvalidOperationException(
            $"The training cannot go on from '{path}', which is that of another training:{string.Concat(differences)}\nGive what it was begun with, or another folder of checkpoints to begin anew.");
    }

    private static string Text(object? value) => value is null ? "none" : string.Create(CultureInfo.InvariantCulture, $"{value}");
}
