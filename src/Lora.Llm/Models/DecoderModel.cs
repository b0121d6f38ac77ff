using Lora.Llm.Blocks;
using Lora.Llm.Training.Chunked;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// A decoder of the kind that Llama began, with its output head. The modules have the paths of transformers' models for causal language modelling, such as
/// <c>model.layers.0.self_attn.q_proj</c>, so adapters of PEFT fit.
/// </summary>
public abstract class DecoderModel : CausalLanguageModel, IReplicatesLayers
{
    // Not private: components are registered by the fields that the model's own class can see.
    [ComponentName(Name = "model")]
    private protected Decoder _decoder;

    [ComponentName(Name = "lm_head")]
    private protected nn.Module<Tensor, Tensor> _head;

    /// <summary>Creates a model whose weights are not set.</summary>
    private protected DecoderModel(string name, DecoderConfig config, ScalarType type, Device place)
        : base(name)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        WeightType.ThrowIfWrong(type);
        Shape = config;
        _decoder = new Decoder(config, type, place);
        _head = config.TieEmbeddings ? new TiedHead(_decoder.EmbeddingWeight) : UnfilledLayers.Linear(config.HiddenSize, config.VocabularySize, hasBias: false, type, place);
        RegisterComponents();
    }

    /// <summary>The model's shape. Not the property of the models themselves with a wider type: TorchSharp's conversion takes each name of a property once.</summary>
    internal DecoderConfig Shape { get; }

    /// <inheritdoc/>
    public override int VocabularySize => Shape.VocabularySize;

    /// <inheritdoc/>
    public override int MaxPositions => Shape.MaxPositions;

    /// <inheritdoc/>
    public override IReadOnlyList<int> EndTokenIds => Shape.EndTokenIds;

    /// <inheritdoc/>
    public override string? ModelFamily => Shape.Family;

    /// <inheritdoc/>
    public override nn.Module? OutputHead => _head;

    /// <inheritdoc/>
    public override nn.Module? TokenEmbedding => _decoder.Embedding;

    /// <inheritdoc/>
    public override nn.Module? TiedHead => Shape.TieEmbeddings ? _head : null;

    internal override long? UsualPositions => Shape.Rope.UsualPositions;

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
    public int LayerCount => _decoder.Layers.Count;

    /// <inheritdoc/>
    private protected override ChunkHead? HeadInChunks => ChunkHead.Of(_head);

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
        if (input.Learned is LearnedLabels learned) return learned.Loss(hidden, HeadInChunks!, Shape.LogitCap);
        Tensor logits = LanguageHead.Logits(_head, hidden, input.LogitsToKeep);
        if (Shape.LogitCap is null) return logits;
        using (logits) return SoftCaps.Apply(logits, Shape.LogitCap);
    }

    /// <summary>Draws the weights of a new model: matrices and embeddings from N(0, 0.02²); biases are zero, and norms stay at one.</summary>
    private protected void FillAtRandom() => FreshWeights.Fill(this, 0.02);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _decoder.ReleaseTables();
        base.Dispose(disposing);
    }
}
