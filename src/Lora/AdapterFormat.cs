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

    internal abstract SavedAdapter Open(string path, nn.Module model, WrapOptions options, KeyRenaming renaming);

    internal abstract void Save(string path, AdapterToSave adapter);
}
