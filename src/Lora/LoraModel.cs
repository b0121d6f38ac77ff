using Lora.Injection;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora;

/// <summary>Puts low-rank adapters into models: fresh ones to train, or saved ones.</summary>
public static partial class LoraModel
{
    /// <summary>The name that an adapter has when none is given.</summary>
    public const string DefaultAdapter = "default";

    /// <summary>The name that stands for no adapter, the base model, in <see cref="LoraModel{TModel}.UsePerSample"/>. No adapter can have it.</summary>
    public const string BaseAdapter = "__base__";

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
        using AdapterSource source = AdapterSource.Fresh(model, options, options.AdapterName, config, wrapping: true);
        return LoraModel<TModel>.Start(model, options, source);
    }

    /// <summary>Puts a saved adapter into a model: a folder with PEFT's <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>, as a rule.</summary>
    /// <typeparam name="TModel">The model's type.</typeparam>
    /// <param name="model">The base model that the adapter was trained on.</param>
    /// <param name="path">The adapter's folder, or a file of the form that <paramref name="loading"/> names.</param>
    /// <param name="options">How the layers are attached; null for the defaults.</param>
    /// <param name="loading">The file's form, and what may differ between file and model; null for PEFT's form, in which everything fits.</param>
    /// <returns>A handle beside the model; its <see cref="LoraModel{TModel}.LoadReport"/> tells what was accepted though unusual.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">
    /// A file is missing or damaged, or does not fit the model: every missing, unexpected and misshapen tensor is listed, and the model is as it was.
    /// </exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">A file must not be read.</exception>
    /// <exception cref="ArgumentException">The options name the adapter as none can be named.</exception>
    /// <exception cref="InvalidOperationException">The model carries adapters already, or a pattern took too long.</exception>
    public static LoraModel<TModel> Load<TModel>(TModel model, string path, WrapOptions? options = null, LoadOptions? loading = null)
        where TModel : nn.Module
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new WrapOptions();
        using AdapterSource source = AdapterSource.Saved(model, options, options.AdapterName, path, loading, wrapping: true);
        return LoraModel<TModel>.Start(model, options, source);
    }

    // The name becomes that of a module, and part of a folder's.
    internal static void CheckName(string name)
    {
        if (NameProblem(name) is string problem) throw new ArgumentException($"{problem}.", nameof(name));
    }

    /// <summary>Says why an adapter cannot have a name, or null.</summary>
    internal static string? NameProblem(string name) =>
        string.IsNullOrWhiteSpace(name) || name.Contains('.', StringComparison.Ordinal) || name.Contains('/', StringComparison.Ordinal)
            || name.Contains('\\', StringComparison.Ordinal) || name is "base_layer" or BaseAdapter
            ? $"'{name}' cannot name an adapter: give a name without dots and slashes other than 'base_layer' and '{BaseAdapter}'"
            : null;
}
