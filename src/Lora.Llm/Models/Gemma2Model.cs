using Lora.Llm.Blocks;
using Lora.Llm.Loading;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// A Gemma 2 with its output head (Gemma Team 2024): scaled embeddings, norms before and after each part, capped scores and logits, a sliding window on every other layer.
/// The modules have the paths of transformers' <c>Gemma2ForCausalLM</c>, such as <c>model.layers.0.self_attn.q_proj</c>, so adapters of PEFT fit.
/// </summary>
public sealed class Gemma2Model : DecoderModel
{
    /// <summary>Creates a model with random weights: matrices and embeddings from N(0, 0.02²), norms at zero, which is one.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="dataType">The type of its weights; float32 when null.</param>
    /// <param name="device">Where it lives; the CPU when null.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other, or the type is no floating-point type.</exception>
    public Gemma2Model(Gemma2Config config, ScalarType? dataType = null, Device? device = null)
        : this(config, dataType ?? ScalarType.Float32, device ?? CPU) => FillAtRandom();

    // The types are not nullable here: this one leaves the weights unset.
    private Gemma2Model(Gemma2Config config, ScalarType type, Device place)
        : base(nameof(Gemma2Model), config, type, place) => Config = config;

    /// <summary>The model's shape.</summary>
    public Gemma2Config Config { get; }

    /// <summary>Loads a Hugging Face folder: <c>config.json</c> with <c>model.safetensors</c>, or with several files and their index.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type and device; null for the defaults.</param>
    /// <returns>The model, in evaluation mode.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, or configuration and weights do not agree; every problem is listed.</exception>
    /// <exception cref="ArgumentException">The type of the options is no floating-point type.</exception>
    public static Gemma2Model FromPretrained(string folder, PretrainedOptions? options = null) =>
        DecoderLoader.Load(folder, options, Gemma2Config.FromFile, (config, type, place) => new Gemma2Model(config, type, place));
}
