using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>What one forward pass shares between its layers.</summary>
/// <param name="Rotation">The tables of the rotary positions.</param>
/// <param name="Seen">The number of last positions that any of its tokens looks at.</param>
/// <param name="Forbidden">Where among them a token may not look; null for nowhere.</param>
/// <param name="Cache">Keys and values of the tokens before; null for none.</param>
internal sealed record AttentionContext((Tensor Cosine, Tensor Sine) Rotation, long Seen, Tensor? Forbidden, KeyValueCache? Cache);

/// <summary>
/// Self-attention with rotary positions and grouped queries: several query heads share one key and value head (Ainslie et al. 2023).
/// Some models see a sliding window alone (Beltagy et al. 2020), or normalise each head's queries and keys (Henry et al. 2020).
/// </summary>
internal sealed class CausalAttention : nn.Module<Tensor, AttentionContext, Tensor>
{
    private readonly DecoderConfig _config;

    [ComponentName(Name = "q_proj")]
    private nn.Module<Tensor, Tensor> _query;

    [ComponentName(Name = "k_proj")]
    private nn.Module<Tensor, Tensor> _key;

    [ComponentName(Name = "v_proj")]
    private nn.Module<Tensor, Tensor> _value;

    [ComponentName(Name = "o_proj")]
    private nn.Module<Tensor, Tensor> _output;

    [ComponentName(Name = "q_norm")]
    private nn.Module<Tensor, Tensor>? _queryNorm;

    [ComponentName(Name = "k_norm")]
    private nn.Module<Tensor, Tensor>? _keyNorm;

    internal CausalAttention(DecoderConfig config, int layer, ScalarType dataType, Device device)
        : base(nameof(CausalAttention))
    {
        _config = config;
        Layer = layer;
        int queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        _query = UnfilledLayers.Linear(config.HiddenSize, queries, config.InputBias, dataType, device);
        _key = UnfilledLayers.Linear(config.HiddenSize, keys, config.InputBias, dataType, device);
        _value = UnfilledLayers.Linear(config.HiddenSize, keys, config.InputBias, dataType, device);
        _output = UnfilledLayers.Linear(queries, config.HiddenSize, config.OutputBias, dataType, device);
        if (config.NormalizesHeads)
        {
            _queryNorm = new RmsNorm(config.HeadDimension, config.NormEpsilon, dataType, device);
            _keyNorm = new RmsNorm(config.HeadDimension, config.NormEpsilon, dataType, device);
        }
        RegisterComponents();
    }

    /// <summary>Which layer this is, for the cache.</summary>
    internal int Layer { get; set; }

    public override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        long batch = x.shape[0], length = x.shape[1];
        int width = _config.HeadDimension, groups = _config.Heads / _config.KeyValueHeads;
        // Held here: TorchSharp lets a number that was converted on the fly be collected while libtorch still reads it.
        using Scalar scale = 1 / Math.Sqrt(width), lowest = AttentionMask.Lowest(x.dtype);

        Tensor queries = RotaryPositions.Rotate(Normalized(_queryNorm, Heads(_query.call(x), _config.Heads)), context.Rotation);
        Tensor keys = RotaryPositions.Rotate(Normalized(_keyNorm, Heads(_key.call(x), _config.KeyValueHeads)), context.Rotation);
        Tensor values = Heads(_value.call(x), _config.KeyValueHeads);
        if (context.Cache is not null) (keys, values) = context.Cache.Append(Layer, keys, values);

        // What no token looks at any more costs nothing.
        long seen = context.Seen, hidden = keys.shape[2] - seen;
        if (hidden > 0) (keys, values) = (keys.narrow(2, hidden, seen), values.narrow(2, hidden, seen));

        // The queries of a group lie one below the other, so that keys and values need not be repeated.
        // The scale goes into the queries, which are narrower than the scores.
        Tensor grouped = queries.mul(scale).reshape(batch, _config.KeyValueHeads, groups * length, width);
        Tensor scores = grouped.matmul(keys.transpose(2, 3));
        if (context.Forbidden is not null)
        {
            scores = scores.view(batch, _config.Heads, length, seen).masked_fill(context.Forbidden, lowest)
                .view(batch, _config.KeyValueHeads, groups * length, seen);
        }
        // In float32 whatever the model's type, as in transformers.
        ScalarType precise = x.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        Tensor weights = nn.functional.softmax(scores, -1, precise).to(x.dtype);
        Tensor mixed = weights.matmul(values).view(batch, _config.Heads, length, width).transpose(1, 2).reshape(batch, length, _config.Heads * width);
        return _output.call(mixed).MoveToOuterDisposeScope();

        static Tensor Normalized(nn.Module<Tensor, Tensor>? norm, Tensor heads) => norm is null ? heads : norm.call(heads);

        Tensor Heads(Tensor projected, int heads) => projected.view(batch, length, heads, width).transpose(1, 2);
    }
}
