using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Embedding, layers and last norm: a decoder model without its output head.</summary>
internal sealed class Decoder : nn.Module<CausalInput, Tensor>
{
    private readonly Dictionary<RopeSettings, RotaryPositions> _positions;
    private readonly DecoderParts _parts;
    private readonly DecoderConfig _config;

    // No field of a module's type: it would be listed a second time.
    private readonly Func<Embedding> _embedding;

    [ComponentName(Name = "embed_tokens")]
    private nn.Module<Tensor, Tensor> _tokens;

    [ComponentName(Name = "layers")]
    private ModuleList<DecoderLayer> _layers;

    [ComponentName(Name = "norm")]
    private nn.Module<Tensor, Tensor> _norm;

    internal Decoder(DecoderConfig config, ScalarType dataType, Device device)
        : base(nameof(Decoder))
    {
        _config = config;
        DecoderParts parts = _parts = config.Parts;
        Embedding embedding = UnfilledLayers.Embedding(config.VocabularySize, config.HiddenSize, PaddingRow(config), dataType, device);
        _tokens = embedding;
        _embedding = () => embedding;
        EmbeddingWeight = () => embedding.weight!;
        _layers = new ModuleList<DecoderLayer>([.. Enumerable.Range(0, config.Layers).Select(i => parts.Layer(i, dataType, device))]);
        _positions = _layers.Select(layer => layer.Reach.Rope).Distinct().ToDictionary(rope => rope, rope => new RotaryPositions(rope, config.HeadDimension));
        _norm = parts.Norm(config.HiddenSize, dataType, device);
        RegisterComponents();
    }

    /// <summary>The token embedding, without adapters.</summary>
    internal Embedding Embedding => _embedding();

    /// <summary>The layers that are run, in their order.</summary>
    internal ModuleList<DecoderLayer> Layers
    {
        get => _layers;
        set
        {
            _layers = value;
            // A name that is taken must be freed first, which moves it to the end: what comes behind the layers follows.
            register_module("layers", null!);
            register_module("layers", value);
            nn.Module norm = _norm;
            register_module("norm", null!);
            register_module("norm", norm);
        }
    }

    /// <summary>Which layers run once more in backward, so that they keep less.</summary>
    internal GradientCheckpointing Checkpointing { get; set; } = GradientCheckpointing.None;

    /// <summary>Rebuilds the layers from ranges of them.</summary>
    internal LayerReplication Replicate(IEnumerable<LayerRange> ranges) => new(this, _layers, ranges, Blank);

    /// <summary>Gets a new handle on the weight of the token embedding, which a tied head uses.</summary>
    internal Func<Parameter> EmbeddingWeight { get; }

    public override Tensor forward(CausalInput input)
    {
        using var scope = NewDisposeScope();
        Tensor hidden = Embed(input.InputIds);
        var contexts = new AttentionContexts(_positions, input, hidden, _config.Attention, training);
        Func<int, bool> runsTwice = RecomputedLayer.Chosen(
            Checkpointing, _layers.Count, input.Cache, () => BlockActivations.BytesOf(BlockShape.Of(_config), _layers[0], hidden, contexts.For(_layers[0].Reach, 0).Seen));
        for (int place = 0; place < _layers.Count; place++)
        {
            AttentionContext context = contexts.For(_layers[place].Reach, place);
            Tensor next = runsTwice(place) ? RecomputedLayer.Call(_layers[place], hidden, context) : _layers[place].call(hidden, context);
            hidden.Dispose();
            hidden = next;
        }
        input.Cache?.Advance((int)input.InputIds.shape[1]);
        return _norm.call(hidden).MoveToOuterDisposeScope();
    }

    /// <summary>Frees the rotary tables, which are no part of the module's state.</summary>
    internal void ReleaseTables()
    {
        foreach (RotaryPositions positions in _positions.Values) positions.Dispose();
    }

    private static long? PaddingRow(DecoderConfig config) =>
        config.PadTokenId is int row && row >= -config.VocabularySize && row < config.VocabularySize ? row : null;

    // The scale is rounded to the model's type before it is multiplied with, as in transformers.
    private Tensor Embed(Tensor ids)
    {
        Tensor embedded = _tokens.call(ids);
        return _parts.EmbeddingScale is double scale ? embedded.mul(tensor(scale, dtype: embedded.dtype)) : embedded;
    }

    private DecoderLayer Blank(int place)
    {
        using Parameter like = EmbeddingWeight();
        return _parts.Layer(place, like.dtype, like.device);
    }
}
