using Lora.Llm.Blocks;
using Lora.Llm.Loading;
using Lora.Serialization;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// A Llama with its output head (Touvron et al. 2023): the modules have the paths of transformers' <c>LlamaForCausalLM</c>, such as
/// <c>model.layers.0.self_attn.q_proj</c>, so adapters of PEFT fit.
/// </summary>
public sealed class LlamaModel : CausalLanguageModel, IReplicatesLayers
{
    [ComponentName(Name = "model")]
    private LlamaDecoder _decoder;

    [ComponentName(Name = "lm_head")]
    private nn.Module<Tensor, Tensor> _head;

    /// <summary>Creates a model with random weights: matrices and embeddings from N(0, 0.02²), norms at one.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="dataType">The type of its weights; float32 when null.</param>
    /// <param name="device">Where it lives; the CPU when null.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other, or the type is no floating-point type.</exception>
    public LlamaModel(LlamaConfig config, ScalarType? dataType = null, Device? device = null)
        : this(config, dataType ?? ScalarType.Float32, device ?? CPU)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach ((string name, Parameter parameter) in named_parameters())
        {
            if (name.EndsWith(".bias", StringComparison.Ordinal)) parameter.zero_();
            else if (parameter.dim() > 1) nn.init.normal_(parameter, 0, 0.02);
        }
    }

    // The types are not nullable here: this one leaves the weights unset.
    private LlamaModel(LlamaConfig config, ScalarType type, Device place)
        : base(nameof(LlamaModel))
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        if (type is not (ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float32 or ScalarType.Float64))
            throw new ArgumentException($"Weights cannot be of type {type}: give Float16, BFloat16, Float32 or Float64.");
        Config = config;
        _decoder = new LlamaDecoder(config, type, place);
        _head = config.TieEmbeddings ? new TiedHead(_decoder.EmbeddingWeight) : UnfilledLayers.Linear(config.HiddenSize, config.VocabularySize, hasBias: false, type, place);
        RegisterComponents();
    }

    /// <summary>The model's shape.</summary>
    public LlamaConfig Config { get; }

    /// <inheritdoc/>
    public override int VocabularySize => Config.VocabularySize;

    /// <inheritdoc/>
    public override int MaxPositions => Config.MaxPositions;

    /// <inheritdoc/>
    public override IReadOnlyList<int> EndTokenIds => Config.EndTokenIds;

    /// <inheritdoc/>
    public override nn.Module? OutputHead => _head;

    /// <inheritdoc/>
    public override nn.Module? TokenEmbedding => _decoder.Embedding;

    /// <inheritdoc/>
    public override nn.Module? TiedHead => Config.TieEmbeddings ? _head : null;

    /// <inheritdoc/>
    public override string? ModelFamily => "llama";

    /// <inheritdoc/>
    public int LayerCount => _decoder.Layers.Count;

    /// <summary>Loads a Hugging Face folder: <c>config.json</c> with <c>model.safetensors</c>, or with several files and their index.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type and device; null for the defaults.</param>
    /// <returns>The model, in evaluation mode.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, or configuration and weights do not agree; every problem is listed.</exception>
    /// <exception cref="ArgumentException">The type of the options is no floating-point type.</exception>
    public static LlamaModel FromPretrained(string folder, PretrainedOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder)) throw new DirectoryNotFoundException($"There is no model folder '{folder}'.");
        LlamaConfig config = LlamaConfig.FromFile(Path.Combine(folder, "config.json"));
        using SafetensorsSource weights = SafetensorsSource.Open(WeightLoader.Find(folder));
        LlamaModel? model = new(config, options?.DataType ?? WeightLoader.TypeOf(weights), options?.Device ?? CPU);
        try
        {
            // Old files hold the rotary tables, and some hold the tied head a second time.
            WeightLoader.Load(
                model, weights, name => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal) || (config.TieEmbeddings && name == "lm_head.weight"));
            model.eval();
            LlamaModel loaded = model;
            model = null;
            return loaded;
        }
        finally
        {
            model?.Dispose();
        }
    }

    /// <inheritdoc/>
    public override KeyValueCache NewCache(int capacity) => new(LayerCount, capacity);

    /// <inheritdoc/>
    public ILayerReplication Replicate(IReadOnlyList<LayerRange> ranges)
    {
        ArgumentNullException.ThrowIfNull(ranges);
        if (ranges.Count == 0 || ranges.Any(range => range.Start < 0 || range.End <= range.Start || range.End > LayerCount))
            throw new ArgumentException($"The model has {LayerCount} layers; ranges of them must go from a layer to a later one, but are {string.Join(", ", ranges.Select(range => $"[{range.Start}, {range.End}]"))}.", nameof(ranges));
        return _decoder.Replicate(ranges);
    }

    /// <summary>Computes the logits of the next token after each position.</summary>
    /// <param name="input">Token ids, shape <c>[batch, length]</c>, and what goes with them.</param>
    /// <returns>Logits, shape <c>[batch, length, vocabulary]</c>, or fewer positions by <see cref="CausalInput.LogitsToKeep"/>.</returns>
    /// <exception cref="ArgumentException">A tensor of the input has another shape or type than it should.</exception>
    public override Tensor forward(CausalInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        input.ThrowIfWrong();
        using Tensor hidden = _decoder.call(input);
        long length = hidden.shape[1];
        if (input.LogitsToKeep is 0 || input.LogitsToKeep >= length) return _head.call(hidden);
        using Tensor last = hidden.narrow(1, length - input.LogitsToKeep, input.LogitsToKeep);
        return _head.call(last);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _decoder.ReleaseTables();
        base.Dispose(disposing);
    }
}
