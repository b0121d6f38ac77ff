using Lora.Llm.Blocks;
using Lora.Llm.Loading;
using Lora.Llm.Training.Chunked;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// A GPT-2 with its output head (Radford et al. 2019). The modules have the paths of transformers' <c>GPT2LMHeadModel</c>, such as <c>transformer.h.0.attn.c_attn</c>,
/// and its matrices are transposed as there (<see cref="Lora.Layers.TransposedLinear"/>), so adapters of PEFT fit.
/// </summary>
public sealed class Gpt2Model : CausalLanguageModel
{
    private const string Prefix = "transformer.";

    [ComponentName(Name = "transformer")]
    private Gpt2Decoder _decoder;

    [ComponentName(Name = "lm_head")]
    private nn.Module<Tensor, Tensor> _head;

    /// <summary>Creates a model with random weights: matrices and embeddings from N(0, 0.02²), those that end a part narrower by √(2 · layers); norms at one and biases at zero.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="dataType">The type of its weights; float32 when null.</param>
    /// <param name="device">Where it lives; the CPU when null.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other, or the type is no floating-point type.</exception>
    public Gpt2Model(Gpt2Config config, ScalarType? dataType = null, Device? device = null)
        : this(config, dataType ?? ScalarType.Float32, device ?? CPU)
    {
        foreach ((string name, Parameter parameter) in named_parameters())
            FreshWeights.Fill(name, parameter, name.EndsWith("c_proj.weight", StringComparison.Ordinal) ? 0.02 / Math.Sqrt(2 * config.Layers) : 0.02);
    }

    // The types are not nullable here: this one leaves the weights unset.
    private Gpt2Model(Gpt2Config config, ScalarType type, Device place)
        : base(nameof(Gpt2Model))
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        WeightType.ThrowIfWrong(type);
        Config = config;
        _decoder = new Gpt2Decoder(config, type, place);
        Embedding embedding = _decoder.Embedding;
        _head = config.TieEmbeddings ? new TiedHead(() => embedding.weight!) : UnfilledLayers.Linear(config.HiddenSize, config.VocabularySize, hasBias: false, type, place);
        RegisterComponents();
    }

    /// <summary>The model's shape.</summary>
    public Gpt2Config Config { get; }

    /// <inheritdoc/>
    public override string? ModelFamily => "gpt2";

    /// <inheritdoc/>
    public override int VocabularySize => Config.VocabularySize;

    /// <inheritdoc/>
    public override int MaxPositions => Config.MaxPositions;

    internal override int? LearnedPositions => Config.MaxPositions;

    /// <inheritdoc/>
    public override IReadOnlyList<int> EndTokenIds => Config.EndTokenIds;

    /// <inheritdoc/>
    public override nn.Module? OutputHead => _head;

    /// <inheritdoc/>
    public override nn.Module? TokenEmbedding => _decoder.Embedding;

    /// <inheritdoc/>
    public override nn.Module? TiedHead => Config.TieEmbeddings ? _head : null;

    /// <inheritdoc/>
    public override GradientCheckpointing GradientCheckpointing
    {
        get => _decoder.Checkpointing;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            _decoder.Checkpointing = value;
        }
    }

    /// <inheritdoc/>
    private protected override ChunkHead? HeadInChunks => ChunkHead.Of(_head);

    /// <inheritdoc/>
    public override KeyValueCache NewCache(int capacity) => new(_decoder.LayerCount, capacity);

    /// <summary>Computes the logits of the next token after each position.</summary>
    /// <param name="input">Token ids, shape <c>[batch, length]</c>, and what goes with them.</param>
    /// <returns>Logits, shape <c>[batch, length, vocabulary]</c>, or fewer positions by <see cref="CausalInput.LogitsToKeep"/>.</returns>
    /// <exception cref="ArgumentException">A tensor of the input has another shape or type than it should, or the text has more positions than the model has learned.</exception>
    public override Tensor forward(CausalInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        input.ThrowIfWrong();
        using Tensor hidden = _decoder.call(input);
        if (input.Learned is LearnedLabels learned) return learned.Loss(hidden, HeadInChunks!, softCap: null);
        return LanguageHead.Logits(_head, hidden, input.LogitsToKeep);
    }

    /// <summary>Loads a Hugging Face folder: <c>config.json</c> with <c>model.safetensors</c>, or with several files and their index. GPT-2's own files, which lack the head, fit too.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type and device; null for the defaults.</param>
    /// <returns>The model, in evaluation mode.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, or configuration and weights do not agree; every problem is listed.</exception>
    /// <exception cref="ArgumentException">The type of the options is no floating-point type.</exception>
    public static Gpt2Model FromPretrained(string folder, PretrainedOptions? options = null)
    {
        Gpt2Config config = Gpt2Config.FromFile(FolderLoader.ConfigOf(folder));
        return FolderLoader.Load(folder, options, config.Layers, (type, place) => new Gpt2Model(config, type, place), names => DecoderLoader.Rules(names, Prefix, config.TieEmbeddings, IsTable));
    }

    // Which places a token may look at, and what stood at the others: old files hold both.
    private static bool IsTable(string name) => name.EndsWith(".attn.bias", StringComparison.Ordinal) || name.EndsWith(".attn.masked_bias", StringComparison.Ordinal);
}
