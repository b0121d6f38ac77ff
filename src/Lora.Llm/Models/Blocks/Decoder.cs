using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Embedding, layers and last norm: a decoder model without its output head.</summary>
internal sealed class Decoder : nn.Module<CausalInput, Tensor>
{
    private readonly RotaryPositions _positions;
    private readonly Func<DecoderLayer> _makeLayer;
    private readonly int? _window;
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
        _window = config.Window;
        _positions = new RotaryPositions(config.Rope, config.HeadDimension);
        Embedding embedding = UnfilledLayers.Embedding(config.VocabularySize, config.HiddenSize, PaddingRow(config), dataType, device);
        _tokens = embedding;
        _embedding = () => embedding;
        EmbeddingWeight = () => embedding.weight!;
        _makeLayer = () => new DecoderLayer(config, 0, embedding.weight!.dtype, embedding.weight!.device);
        _layers = new ModuleList<DecoderLayer>([.. Enumerable.Range(0, config.Layers).Select(i => new DecoderLayer(config, i, dataType, device))]);
        _norm = new RmsNorm(config.HiddenSize, config.NormEpsilon, dataType, device);
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
            for (int place = 0; place < value.Count; place++) value[place].Place = place;
        }
    }

    /// <summary>Which layers run once more in backward, so that they keep less.</summary>
    internal GradientCheckpointing Checkpointing { get; set; } = GradientCheckpointing.None;

    /// <summary>Rebuilds the layers from ranges of them.</summary>
    internal LayerReplication Replicate(IEnumerable<LayerRange> ranges) => new(this, _layers, ranges, _makeLayer);

    /// <summary>Gets a new handle on the weight of the token embedding, which a tied head uses.</summary>
    internal Func<Parameter> EmbeddingWeight { get; }

    public override Tensor forward(CausalInput input)
    {
        using var scope = NewDisposeScope();
        long length = input.InputIds.shape[1], past = input.Cache?.Length ?? 0;
        Tensor hidden = _tokens.call(input.InputIds);
        var context = new AttentionContext(
            _positions.For(past, length, input.PositionIds, hidden),
            AttentionMask.Seen(length, past, _window),
            AttentionMask.Causal(length, past, _window, input.AttentionMask, hidden.device),
            input.Cache);
        Func<int, bool> runsTwice = TwiceIn(hidden, context);
        for (int place = 0; place < _layers.Count; place++)
        {
            Tensor next = runsTwice(place) ? RecomputedLayer.Call(_layers[place], hidden, context) : _layers[place].call(hidden, context);
            hidden.Dispose();
            hidden = next;
        }
        input.Cache?.Advance((int)length);
        return _norm.call(hidden).MoveToOuterDisposeScope();
    }

    // Without gradients nothing is kept; and a cache would take the keys and values twice.
    private Func<int, bool> TwiceIn(Tensor hidden, AttentionContext context) => !is_grad_enabled() || context.Cache is not null || _layers.Count == 0
        ? _ => false
        : Checkpointing.Choose(_layers.Count, () => BlockActivations.BytesOf(_config, _layers[0], hidden, context.Seen));

    private static long? PaddingRow(DecoderConfig config) =>
        config.PadTokenId is int row && row >= -config.VocabularySize && row < config.VocabularySize ? row : null;

    /// <summary>Frees the rotary tables, which are no part of the module's state.</summary>
    internal void ReleaseTables() => _positions.Dispose();
}
