using Lora.Serialization;
using Lora.Serialization.Formats;
using static TorchSharp.torch;

namespace Lora;

/// <summary>
/// The form of an adapter's file. PEFT's is the one that carries everything; the others are for files that come from elsewhere, or go there. What a form cannot carry is refused
/// by name when it is saved, and what is in a file and belongs to no layer is refused when it is loaded.
/// </summary>
public abstract class AdapterFormat
{
    private protected AdapterFormat()
    {
    }

    /// <summary>PEFT's folder with <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</summary>
    public static AdapterFormat Peft { get; } = new PeftFormat();

    /// <summary>
    /// PEFT's folder, in which PEFT can read the adapters of fused linear layers (<see cref="Layers.LoraFusedLinear"/>) too: n pairs of rank r for parts of the output are written as
    /// one pair of rank n·r for the whole, with the same update exactly. B is n times as wide then and mostly zero. Such a file is loaded without a
    /// <see cref="Layers.FusedLinearKind"/>; trained further, the zeros train too.
    /// </summary>
    public static AdapterFormat PeftExpanded { get; } = new PeftFormat(PeftForm.ExpandedFused);

    /// <summary>
    /// PEFT's folder, for writing, in which an adapter that starts from a part of the base weights (<see cref="AdapterInitialization.ChangesBase"/>) has its A and B alone, with the name of the
    /// initialisation. Whoever loads it repeats that on the base to find the start; it takes half the space, and works only on weights that are the same to the last bit.
    /// Otherwise such an adapter is written as a plain one of twice the rank, [A; A₀] and [B, −B₀], as PEFT converts it.
    /// </summary>
    public static AdapterFormat PeftRaw { get; } = new PeftFormat(PeftForm.Raw);

    /// <summary>
    /// loralib's checkpoint, what <c>lora_state_dict</c> returns, as a safetensors file, for reading: <c>layer.lora_A</c> and <c>layer.lora_B</c> of linear layers,
    /// embeddings, convolutions and, as <see cref="Layers.FusedLinearKind"/>, MergedLinear.
    /// </summary>
    /// <remarks>
    /// A convolution of kernel k has <c>lora_A [r·k, in·k]</c> and <c>lora_B [out·k, r·k]</c>, whose product is taken for the weight <c>[out, in, k, k]</c>. That product is B·A of a
    /// pair of this library of rank r·k², which it is loaded as: the same update, with more numbers to train.
    /// </remarks>
    /// <param name="config">Targets, ranks and alphas, which a file of loralib does not hold.</param>
    /// <returns>The form.</returns>
    public static AdapterFormat LoraLib(LoraConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        return new LoraLibFormat(config);
    }

    /// <summary>
    /// A file of kohya's sd-scripts, read and written: <c>lora_unet_path_with_underscores.lora_down.weight</c>, <c>.lora_up.weight</c> and <c>.alpha</c> for linear layers and
    /// <see cref="TorchSharp.Modules.Conv2d"/>. Names are resolved against the model's own paths.
    /// </summary>
    /// <param name="prefix">What the names of this model's layers begin with: <c>lora_unet</c>, <c>lora_te</c>, <c>lora_te1</c>, <c>lora_te2</c>, …</param>
    /// <param name="otherPrefixes">What the names of other models' layers in the same file begin with; they are passed over when the file is read.</param>
    /// <param name="foldAlpha">Whether alpha / r goes into B when a file is read, for a scale of 1, instead of being kept as rank and alpha of each layer.</param>
    /// <returns>The form.</returns>
    /// <exception cref="ArgumentException">A prefix is empty.</exception>
    public static AdapterFormat Kohya(string prefix, IEnumerable<string>? otherPrefixes = null, bool foldAlpha = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(prefix);
        return Kohya(new Dictionary<string, string> { [prefix] = "" }, otherPrefixes, foldAlpha);
    }

    /// <summary>A file of kohya's sd-scripts, as <see cref="Kohya(string, IEnumerable{string}, bool)"/>, for a model that holds several: <c>["lora_unet"] = "unet", ["lora_te"] = "text_encoder"</c>.</summary>
    /// <param name="prefixes">For each prefix, the path of the module that it stands for; an empty one for the whole model.</param>
    /// <param name="otherPrefixes">What the names of other models' layers in the same file begin with; they are passed over when the file is read.</param>
    /// <param name="foldAlpha">Whether alpha / r goes into B when a file is read.</param>
    /// <returns>The form.</returns>
    /// <exception cref="ArgumentException">There is no prefix, or one is empty.</exception>
    public static AdapterFormat Kohya(IReadOnlyDictionary<string, string> prefixes, IEnumerable<string>? otherPrefixes = null, bool foldAlpha = false)
    {
        ArgumentNullException.ThrowIfNull(prefixes);
        string[] others = [.. otherPrefixes ?? []];
        if (prefixes.Count == 0 || prefixes.Keys.Concat(others).Any(string.IsNullOrEmpty)) throw new ArgumentException("At least one prefix is needed, and none may be empty.", nameof(prefixes));
        return new KohyaFormat(
            new OrderedDictionary<string, string>(prefixes.Select(prefix => KeyValuePair.Create(prefix.Key.TrimEnd('_') + "_", prefix.Value)), StringComparer.Ordinal),
            [.. others.Select(other => other.TrimEnd('_') + "_")], foldAlpha);
    }

    /// <summary>
    /// A file of diffusers, <c>pytorch_lora_weights.safetensors</c>, read and written: PEFT's names behind the name of the model in its pipeline, and the settings in the file's
    /// remarks (<c>lora_adapter_metadata</c>). Read are also the older dialects: <c>attn1.processor.to_q_lora.down.weight</c>, <c>to_q.lora.up.weight</c>,
    /// <c>q_proj.lora_linear_layer.up.weight</c>. Where neither the remarks nor a tensor says what alpha is, it is the rank of each layer.
    /// </summary>
    /// <param name="prefix">The name of the model: <c>unet</c>, <c>transformer</c>, <c>text_encoder</c>, …; empty where the file is one of a model alone.</param>
    /// <param name="otherPrefixes">The names of other models in the same file, whose tensors are passed over when it is read.</param>
    /// <returns>The form. Paths may be those of a file or of the folder that holds it.</returns>
    /// <exception cref="ArgumentException">One of the other names is empty.</exception>
    public static AdapterFormat Diffusers(string prefix = "unet", IEnumerable<string>? otherPrefixes = null)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        string[] others = [.. otherPrefixes ?? []];
        if (others.Any(string.IsNullOrEmpty)) throw new ArgumentException("None of the other models' names may be empty.", nameof(otherPrefixes));
        return new DiffusersFormat(prefix.Length == 0 ? "" : prefix.TrimEnd('.') + ".", [.. others.Select(other => other.TrimEnd('.') + ".")]);
    }

    /// <summary>
    /// A folder of mlx-lm, read and written: <c>adapters.safetensors</c> with <c>path.lora_a</c> and <c>path.lora_b</c> of linear layers and embeddings, and <c>adapter_config.json</c> with one rank and one
    /// scale, the factor s itself, for all. Where layers differ, smaller ranks are filled up with zeros and the scales go into B when it is written: the update is the same.
    /// </summary>
    public static AdapterFormat Mlx { get; } = new MlxFormat();

    internal abstract SavedAdapter Open(string path, nn.Module model, WrapOptions options, KeyRenaming renaming);

    internal abstract void Save(string path, AdapterToSave adapter);
}
