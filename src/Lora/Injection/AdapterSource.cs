using Lora.Initialization;
using Lora.Layers;
using Lora.Parts;
using Lora.Serialization;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>An adapter that is about to come into a model, complete with its tensors. Whatever could fail has been done; disposing it leaves the model as it was.</summary>
internal sealed class AdapterSource : IDisposable
{
    private readonly PreparedAdapter _prepared;
    private ILayerReplication? _replication;

    private AdapterSource(string name, LoraConfig config, PeftAdapterConfig? file, IReadOnlyList<string> report, PreparedAdapter prepared, ILayerReplication? replication)
    {
        _replication = replication;
        Entry = new AdapterEntry(name, config, file, report);
        _prepared = prepared;
    }

    internal AdapterEntry Entry { get; }

    /// <summary>A fresh adapter.</summary>
    /// <exception cref="ArgumentException">The configuration cannot be used, or does not fit the model.</exception>
    internal static AdapterSource Fresh(nn.Module model, WrapOptions options, string name, LoraConfig config, bool wrapping)
    {
        using IDisposable? trainable = OutsideInference();
        config = Complete(config, model);
        config.Validate();
        LoraModel.CheckName(name);
        if (wrapping) InjectionPlan.ThrowIfAdapted(model);
        string? problem = null;
        ILayerReplication? replication = null;
        if (wrapping) replication = LayerStack.Replicate(model, config, out problem);
        if (problem is not null) throw new ArgumentException($"The model cannot be wrapped:\n  - {problem}", nameof(config));
        try
        {
            return Fresh(model, options, name, config, ref replication);
        }
        finally
        {
            replication?.Dispose();
        }
    }

    /// <summary>A configuration with what follows from the model: the targets of its family, the head of its task, and the embedding for a head that is tied to it.</summary>
    internal static LoraConfig Complete(LoraConfig config, nn.Module model)
    {
        if (config.TargetModules is null) config = config with { TargetModules = DefaultTargets.For(model) };
        return TiedTargets.With(TaskHeads.With(config, model), model);
    }

    private static AdapterSource Fresh(nn.Module model, WrapOptions options, string name, LoraConfig config, ref ILayerReplication? replication)
    {
        InjectionPlan plan = InjectionPlan.Make(model, config, options);
        string[] problems = [.. plan.Problems, .. plan.UnmatchedNames.Except(plan.Problems), .. plan.IdleExclusion, .. plan.UnusedPatterns];
        if (problems.Length > 0)
            throw new ArgumentException($"The model cannot be wrapped:{string.Concat(problems.Select(p => $"\n  - {p}"))}", nameof(config));
        using Calibration? calibration = StartingValues.Calibrate(model, plan, config);
        if (calibration is not null && !ReferenceEquals(calibration.Config, config))
        {
            config = calibration.Config;
            plan = InjectionPlan.Make(model, config, options);
        }
        LoraConfig resolved = config with { TargetModules = plan.TargetsAsSaved(config) };
        var source = new AdapterSource(name, resolved, null, [], PreparedAdapter.Make(plan, name, options, new StartingValues(config.Initialization, calibration)), replication);
        replication = null;
        return source;
    }

    /// <summary>A saved adapter.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">A file is missing or damaged, or does not fit the model.</exception>
    internal static AdapterSource Saved(nn.Module model, WrapOptions options, string name, string path, LoadOptions? loading, bool wrapping)
    {
        using IDisposable? trainable = OutsideInference();
        LoraModel.CheckName(name);
        loading ??= new LoadOptions();
        using SavedAdapter saved = loading.Format.Open(path, model, options, new KeyRenaming(loading.RenamedPrefixes));
        if (wrapping) InjectionPlan.ThrowIfAdapted(model);
        string? problem = null;
        ILayerReplication? replication = null;
        if (wrapping) replication = LayerStack.Replicate(model, saved.Config, out problem);
        if (problem is not null) throw new AdapterFormatException(saved.Path, problem);
        try
        {
            return Saved(model, options, name, saved, loading, ref replication);
        }
        finally
        {
            replication?.Dispose();
        }
    }

    private static AdapterSource Saved(nn.Module model, WrapOptions options, string name, SavedAdapter saved, LoadOptions loading, ref ILayerReplication? replication)
    {
        InjectionPlan plan = InjectionPlan.Make(model, saved.Config, options, new FileKeys(saved.Tensors.Select(tensor => tensor.Key)));
        ThrowIfRanksBeyond(saved, plan);
        PreparedAdapter? prepared = PreparedAdapter.Make(plan, name, options, start: null);
        try
        {
            AdapterFit fit = AdapterFit.Of(saved, plan, prepared, loading.IgnoreMismatchedShapes);
            IReadOnlyList<string> remarks = RestoredStart.Apply(saved, prepared, options);
            // A file that can no longer be read leaves the model without the adapter, not with half of it.
            fit.Copy(loading.Transfer);
            LoraConfig config = saved.Config;
            if (config.TargetModules?.Equals(ModuleSelector.AllLinear) == true) config = config with { TargetModules = plan.TargetsAsSaved(config) };
            var source = new AdapterSource(name, config, saved.File, [.. fit.Report, .. remarks], prepared, replication);
            prepared = null;
            replication = null;
            return source;
        }
        finally
        {
            prepared?.Dispose();
        }
    }

    // A rank is a number of the configuration, for which the layers take memory before the file's tensors are compared with them. No tensor of the file being so large, it cannot be right.
    private static void ThrowIfRanksBeyond(SavedAdapter saved, InjectionPlan plan)
    {
        const int usual = 256;
        long largest = saved.Tensors.Where(tensor => !tensor.Shape.Contains(0)).SelectMany(tensor => tensor.Shape).DefaultIfEmpty().Max();
        string[] beyond =
        [
            .. plan.Layers.Where(layer => layer.Settings.Rank > Math.Max(usual, largest))
                .Select(layer => $"layer '{layer.Site.Path}' has the rank {layer.Settings.Rank} by the configuration, but no tensor of the file has a dimension above {largest}"),
        ];
        if (beyond.Length > 0) throw new AdapterFormatException(saved.Path, beyond);
    }

    /// <summary>An adapter on layers that are adapted already, with values that have been computed.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">The options that it was wrapped with.</param>
    /// <param name="entry">The new adapter; its configuration picks exactly the layers that there are values for.</param>
    /// <param name="fill">Sets the values of the adapter at a path.</param>
    internal static AdapterSource Computed(nn.Module model, WrapOptions options, AdapterEntry entry, Action<string, LoraAdapter> fill)
    {
        using IDisposable? trainable = OutsideInference();
        PreparedAdapter prepared = PreparedAdapter.Make(InjectionPlan.Make(model, entry.Config, options), entry.Name, options, start: null);
        bool complete = false;
        try
        {
            foreach ((string path, LoraAdapter adapter) in prepared.Adapters) fill(path, adapter);
            complete = true;
        }
        finally
        {
            if (!complete) prepared.Dispose();
        }
        return new AdapterSource(entry.Name, entry.Config, entry.File, entry.Report, prepared, replication: null);
    }

    // What is made in inference mode could never train, not even outside of it.
    private static IDisposable? OutsideInference() => is_inference_mode_enabled() ? inference_mode(false) : null;

    /// <summary>The paths of the layers that it adapts.</summary>
    internal IEnumerable<string> LayerPaths => _prepared.Layers.Select(layer => layer.Path);

    /// <summary>What it has beside its layers; not active yet.</summary>
    internal IReadOnlyList<AdapterPart> Parts => _prepared.Parts;

    /// <summary>Puts the new layers into the model and returns them.</summary>
    internal IReadOnlyList<Attachment> Attach() => _prepared.Attach();

    /// <summary>Hands over what the model's layers were replicated by, or null.</summary>
    internal ILayerReplication? TakeReplication()
    {
        ILayerReplication? taken = _replication;
        _replication = null;
        return taken;
    }

    public void Dispose()
    {
        _prepared.Dispose();
        _replication?.Dispose();
    }
}
