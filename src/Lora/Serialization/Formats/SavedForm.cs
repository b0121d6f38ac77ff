using Lora.Initialization;
using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>What an adapter's settings and tensors are in a file of one form.</summary>
internal sealed class SavedForm
{
    private readonly bool _expandsFused;
    private readonly bool _doubled;

    private SavedForm(LoraConfig config, bool expandsFused, bool doubled)
    {
        Config = config;
        _expandsFused = expandsFused;
        _doubled = doubled;
    }

    /// <summary>The settings to write.</summary>
    internal LoraConfig Config { get; }

    /// <param name="config">The adapter's settings.</param>
    /// <param name="layers">The layers that have it.</param>
    /// <param name="name">Its name.</param>
    /// <param name="form">The form.</param>
    /// <param name="patternPaths">The paths that patterns are looked up by.</param>
    /// <exception cref="InvalidOperationException">The raw form is asked for and could not be loaded again.</exception>
    internal static SavedForm Of(LoraConfig config, IReadOnlyList<AdapterLayer> layers, string name, PeftForm form, string[] patternPaths)
    {
        bool expands = form == PeftForm.ExpandedFused;
        if (expands) config = ExpandedFused.ConfigOf(config, layers.Select(layer => (layer.Path, layer.Layer.Adapters[name])), patternPaths);
        bool started = layers.Any(layer => layer.Layer.Adapters[name] is LinearAdapter { HasStart: true });
        if (form == PeftForm.Raw && started && RawObstacle(config, layers) is string obstacle)
            throw new InvalidOperationException($"Adapter '{name}' cannot be saved raw: {obstacle}. Save it in the usual form, {nameof(AdapterFormat)}.{nameof(AdapterFormat.Peft)}.");
        bool doubled = started && form != PeftForm.Raw;
        return new SavedForm(doubled ? Doubled(config) : config, expands, doubled);
    }

    /// <summary>A tensor as the file has it; a new one belongs to the current dispose scope.</summary>
    /// <param name="adapter">The adapter of a layer.</param>
    /// <param name="name">The tensor's name there.</param>
    /// <param name="parameter">The tensor.</param>
    internal Tensor TensorOf(LoraAdapter adapter, string name, Parameter parameter)
    {
        Tensor saved = _expandsFused ? ExpandedFused.TensorOf(adapter, name, parameter) : parameter;
        // A layer that has no start gets one of zeros, since the settings double all ranks.
        if (_doubled && ReferenceEquals(parameter, adapter.A)) saved = adapter is LinearAdapter { HasStart: true } linear ? linear.WholeA : cat([saved, zeros_like(saved)], 0);
        if (_doubled && ReferenceEquals(parameter, adapter.B)) saved = adapter is LinearAdapter { HasStart: true } linear ? linear.WholeB : cat([saved, zeros_like(saved)], 1);
        return adapter.FileFactor(name) is var factor and not 1 ? saved.div(factor) : saved;
    }

    private static string? RawObstacle(LoraConfig config, IReadOnlyList<AdapterLayer> layers)
    {
        if (!config.Initialization.CanBeRepeated) return $"{config.Initialization.Name} depends on data or random numbers and cannot be repeated when it is loaded";
        return config.Initialization is OloraInitialization && layers.FirstOrDefault(layer => layer.Layer is LoraLinear { IsTransposed: true }) is AdapterLayer transposed
            ? $"'{transposed.Path}' stores its weight as [in, out], which PEFT decomposes without transposing it"
            : null;
    }

    // The scale stays: alpha / r = 2·alpha / (2·r), and alpha / √r = √2·alpha / √(2·r).
    private static LoraConfig Doubled(LoraConfig config)
    {
        double factor = config.UseRankStabilizedScaling ? Math.Sqrt(2) : 2;
        return config with
        {
            Initialization = AdapterInitialization.Kaiming,
            Rank = 2 * config.Rank,
            Alpha = factor * config.Alpha,
            RankPattern = new OrderedDictionary<string, int>(config.RankPattern.Select(pair => KeyValuePair.Create(pair.Key, 2 * pair.Value))),
            AlphaPattern = new OrderedDictionary<string, double>(config.AlphaPattern.Select(pair => KeyValuePair.Create(pair.Key, factor * pair.Value))),
        };
    }
}
