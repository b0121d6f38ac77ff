using Lora.Injection;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora;

/// <summary>Puts low-rank adapters into models: fresh ones to train, or saved ones.</summary>
public static class LoraModel
{
    /// <summary>The name that an adapter has when none is given.</summary>
    public const string DefaultAdapter = "default";

    /// <summary>Freezes a model and puts a fresh adapter into the layers that the configuration names. The model is changed in place and computes what it did before.</summary>
    /// <typeparam name="TModel">The model's type.</typeparam>
    /// <param name="model">The model; it stays the caller's, who goes on calling it.</param>
    /// <param name="config">Which layers, and which rank and scale.</param>
    /// <param name="options">How the layers are attached; null for the defaults.</param>
    /// <returns>A handle beside the model.</returns>
    /// <exception cref="ArgumentException">The configuration is out of range, or does not fit the model; every problem is listed, and the model is as it was.</exception>
    /// <exception cref="InvalidOperationException">The model carries adapters already, or a pattern took too long.</exception>
    public static LoraModel<TModel> Wrap<TModel>(TModel model, LoraConfig config, WrapOptions? options = null)
        where TModel : nn.Module
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(config);
        options ??= new WrapOptions();
        config.Validate();
        CheckName(options.AdapterName);

        InjectionPlan plan = InjectionPlan.Make(model, config, options.AllowHooks);
        string[] problems = [.. plan.Problems, .. plan.UnmatchedNames.Except(plan.Problems), .. plan.IdleExclusion, .. plan.UnusedPatterns];
        if (problems.Length > 0)
            throw new ArgumentException($"The model cannot be wrapped:{string.Concat(problems.Select(p => $"\n  - {p}"))}", nameof(config));
        return new LoraModel<TModel>(model, config with { TargetModules = plan.TargetsAsSaved(config.TargetModules!) }, plan, options, file: null, report: []);
    }

    /// <summary>Puts a saved adapter into a model: a folder with PEFT's <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</summary>
    /// <typeparam name="TModel">The model's type.</typeparam>
    /// <param name="model">The base model that the adapter was trained on.</param>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="options">How the layers are attached; null for the defaults.</param>
    /// <returns>A handle beside the model; its <see cref="LoraModel{TModel}.LoadReport"/> tells what was accepted though unusual.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="AdapterFormatException">
    /// A file is missing or damaged, or does not fit the model: every missing, unexpected and misshapen tensor is listed, and the model is as it was.
    /// </exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">A file must not be read.</exception>
    /// <exception cref="ArgumentException">The options name the adapter as none can be named.</exception>
    /// <exception cref="InvalidOperationException">The model carries adapters already, or a pattern took too long.</exception>
    public static LoraModel<TModel> Load<TModel>(TModel model, string folder, WrapOptions? options = null)
        where TModel : nn.Module
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrEmpty(folder);
        options ??= new WrapOptions();
        CheckName(options.AdapterName);

        if (!Directory.Exists(folder)) throw new DirectoryNotFoundException($"There is no adapter folder '{folder}'.");

        using AdapterFolder adapter = AdapterFolder.Open(folder);
        InjectionPlan plan = InjectionPlan.Make(model, adapter.Config, options.AllowHooks);
        AdapterFit fit = AdapterFit.Of(adapter, plan);
        LoraConfig config = adapter.Config;
        if (config.TargetModules!.Equals(ModuleSelector.AllLinear)) config = config with { TargetModules = plan.TargetsAsSaved(config.TargetModules) };
        LoraModel<TModel>? unfinished = new(model, config, plan, options, adapter.File, fit.Report);
        try
        {
            fit.CopyTo(unfinished.Layers);
            LoraModel<TModel> handle = unfinished;
            unfinished = null;
            return handle;
        }
        finally
        {
            // A file that can no longer be read leaves the model without adapters, not with half of them.
            unfinished?.Dispose();
        }
    }

    // The name becomes that of a module, and part of a folder's.
    private static void CheckName(string name)
    {
        if (string.IsNullOrWhiteSpace(name) || name.Contains('.', StringComparison.Ordinal) || name.Contains('/', StringComparison.Ordinal)
            || name.Contains('\\', StringComparison.Ordinal) || name == "base_layer")
        {
            throw new ArgumentException($"'{name}' cannot name an adapter: give a name without dots and slashes other than 'base_layer'.", nameof(name));
        }
    }
}
