using Lora.Llm.Blocks;
using Lora.Llm.Loading;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// A Phi-3 with its output head (Abdin et al. 2024): a Llama whose projections to queries, keys and values are one, and whose gate and up projections are one.
/// The modules have the paths of transformers' <c>Phi3ForCausalLM</c>, such as <c>model.layers.0.self_attn.qkv_proj</c>, so adapters of PEFT fit.
/// </summary>
public sealed class Phi3Model : DecoderModel
{
    /// <summary>Creates a model with random weights: matrices and embeddings from N(0, 0.02²), norms at one.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="dataType">The type of its weights; float32 when null.</param>
    /// <param name="device">Where it lives; the CPU when null.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other, or the type is no floating-point type.</exception>
    public Phi3Model(Phi3Config config, ScalarType? dataType = null, Device? device = null)
        : this(config, dataType ?? ScalarType.Float32, device ?? CPU) => FillAtRandom();

    // The types are not nullable here: this one leaves the weights unset.
    private Phi3Model(Phi3Config config, ScalarType type, Device place)
        : base(nameof(Phi3Model), config, type, place) => Config = config;

    /// <summary>The model's shape.</summary>
    public Phi3Config Config { get; }

    /// <summary>Loads a Hugging Face folder: <c>config.json</c> with <c>model.safetensors</c>, or with several files and their index.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type and device; null for the defaults.</param>
    /// <returns>The model, in evaluation mode.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, or configuration and weights do not agree; every problem is listed.</exception>
    /// <exception cref="ArgumentException">The type of the options is no floating-point type.</exception>
    public static Phi3Model FromPretrained(string folder, PretrainedOptions? options = null) =>
        DecoderLoader.Load(folder, options, Phi3Config.FromFile, (config, type, place) => new Phi3Model(config, type, place));
}
