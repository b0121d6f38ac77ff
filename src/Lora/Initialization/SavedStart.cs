using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>How an adapter that takes its start off the base is written: as a plain one of twice the rank, or raw.</summary>
internal sealed class SavedStart
{
    private readonly bool _doubled;

    private SavedStart(LoraConfig config, bool doubled)
    {
        Config = config;
        _doubled = doubled;
    }

    /// <summary>The configuration to write.</summary>
    internal LoraConfig Config { get; }

    /// <exception cref="InvalidOperationException">The raw form is asked for and could not be loaded again.</exception>
    internal static SavedStart Of(LoraConfig config, IReadOnlyList<AdapterLayer> layers, string name, SaveOptions options)
    {
        bool started = layers.Any(layer => layer.Layer.Adapters[name] is LinearAdapter { HasStart: true });
        if (!started) return new SavedStart(config, doubled: false);
        if (!options.KeepInitialization) return new SavedStart(Doubled(config), doubled: true);
        if (!config.Initialization.CanBeRepeated)
            throw new InvalidOperationException($"Adapter '{name}' cannot be saved raw: {config.Initialization.Name} depends on data or random numbers and cannot be repeated when it is loaded. Leave {nameof(SaveOptions.KeepInitialization)} out.");
        if (config.Initialization is OloraInitialization && layers.FirstOrDefault(layer => layer.Layer is LoraLinear { IsTransposed: true }) is AdapterLayer transposed)
            throw new InvalidOperationException($"Adapter '{name}' cannot be saved raw: '{transposed.Path}' stores its weight as [in, out], which PEFT decomposes without transposing it. Leave {nameof(SaveOptions.KeepInitialization)} out.");
        return new SavedStart(config, doubled: false);
    }

    /// <summary>A tensor as the file has it; a new one belongs to the current dispose scope.</summary>
    internal Tensor AsSaved(LoraAdapter adapter, string name, Parameter parameter)
    {
        Tensor saved = parameter;
        // A layer that has no start gets one of zeros, since the configuration doubles all ranks.
        if (_doubled && ReferenceEquals(parameter, adapter.A)) saved = adapter is LinearAdapter { HasStart: true } linear ? linear.WholeA : cat([parameter, zeros_like(parameter)], 0);
        if (_doubled && ReferenceEquals(parameter, adapter.B)) saved = adapter is LinearAdapter { HasStart: true } linear ? linear.WholeB : cat([parameter, zeros_like(parameter)], 1);
        return adapter.FileFactor(name) is var factor and not 1 ? saved.div(factor) : saved;
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
