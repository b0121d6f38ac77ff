using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The encoder or the decoder of a T5: its blocks and its last norm. The token embedding, which both share, is the model's.</summary>
internal sealed class T5Stack : nn.Module<Tensor, SequenceToSequenceInput, Tensor>
{
    private readonly double _dropout;
    private readonly bool _isDecoder;

    [ComponentName(Name = "block")]
    private ModuleList<T5Block> _blocks;

    [ComponentName(Name = "final_layer_norm")]
    private nn.Module<Tensor, Tensor> _norm;

    internal T5Stack(T5Config config, bool isDecoder, ScalarType dataType, Device device)
        : base(nameof(T5Stack))
    {
        (_dropout, _isDecoder) = (config.Dropout, isDecoder);
        var buckets = new RelativeBuckets(config.RelativeBuckets, config.MaxRelativeDistance, bothWays: !isDecoder);
        int layers = isDecoder ? config.DecoderLayers : config.Layers;
        _blocks = new ModuleList<T5Block>([.. Enumerable.Range(0, layers).Select(i => new T5Block(config, i, isDecoder, i == 0 ? buckets : null, dataType, device))]);
        _norm = new RmsNorm(config.HiddenSize, config.NormEpsilon, dataType, device);
        RegisterComponents();
    }

    /// <param name="embedded">The embedded tokens, shape <c>[batch, length, d_model]</c>.</param>
    /// <param name="input">The masks and the cache; for a decoder with <see cref="SequenceToSequenceInput.EncoderOutput"/>, unless the cache is filled.</param>
    public override Tensor forward(Tensor embedded, SequenceToSequenceInput input)
    {
        using var scope = NewDisposeScope();
        long length = embedded.shape[1], past = _isDecoder ? input.Cache?.Length ?? 0 : 0;
        Tensor bias = _blocks[0].SelfAttention.PositionBias(past, length, past + length, embedded.device);
        Tensor? forbidden = _isDecoder
            ? AttentionMask.Causal(length, past, null, input.DecoderAttentionMask, embedded.device)
            : Padding(input.AttentionMask);
        using Scalar lowest = AttentionMask.Lowest(embedded.dtype);
        var pass = new T5Pass(
            forbidden is null ? bias : bias.masked_fill(forbidden, lowest),
            _isDecoder ? input.EncoderOutput : null,
            _isDecoder && Padding(input.AttentionMask) is Tensor padding ? zeros(padding.shape, dtype: embedded.dtype, device: embedded.device).masked_fill(padding, lowest) : null,
            _isDecoder ? input.Cache : null);
        Tensor hidden = Dropped(embedded.alias());
        foreach (T5Block block in _blocks)
        {
            Tensor next = block.call(hidden, pass);
            hidden.Dispose();
            hidden = next;
        }
        if (_isDecoder) input.Cache?.Advance((int)length);
        return Dropped(_norm.call(hidden)).MoveToOuterDisposeScope();
    }

    // True where a token may not look, shape [batch, 1, 1, source].
    private static Tensor? Padding(Tensor? mask) => mask?.eq(0).unsqueeze(1).unsqueeze(1);

    private Tensor Dropped(Tensor x) => Dropouts.Apply(x, _dropout, training);
}
