using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>What one forward pass shares between its layers.</summary>
internal sealed record AttentionContext((Tensor Cosine, Tensor Sine) Rotation, Tensor? Forbidden, KeyValueCache? Cache);

/// <summary>
/// Self-attention with rotary positions and grouped queries: several query heads share one key and value head (Ainslie et al. 2023).
/// </summary>
internal sealed class CausalAttention : nn.Module<Tensor, AttentionContext, Tensor>
{
    private readonly LlamaConfig _config;

    [ComponentName(Name = "q_proj")]
    private nn.Module<Tensor, Tensor> _query;

    [ComponentName(Name = "k_proj")]
    private nn.Module<Tensor, Tensor> _key;

    [ComponentName(Name = "v_proj")]
    private nn.Module<Tensor, Tensor> _value;

    [ComponentName(Name = "o_proj")]
    private nn.Module<Tensor, Tensor> _output;

    internal CausalAttention(LlamaConfig config, int layer, ScalarType dataType, Device device)
        : base(nameof(CausalAttention))
    {
        _config = config;
        Layer = layer;
        int queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        _query = UnfilledLayers.Linear(config.HiddenSize, queries, config.AttentionBias, dataType, device);
        _key = UnfilledLayers.Linear(config.HiddenSize, keys, config.AttentionBias, dataType, device);
        _value = UnfilledLayers.Linear(config.HiddenSize, keys, config.AttentionBias, dataType, device);
        _output = UnfilledLayers.Linear(queries, config.HiddenSize, config.AttentionBias, dataType, device);
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

        Tensor queries = RotaryPositions.Rotate(Heads(_query.call(x), _config.Heads), context.Rotation);
        Tensor keys = RotaryPositions.Rotate(Heads(_key.call(x), _config.KeyValueHeads), context.Rotation);
        Tensor values = Heads(_value.call(x), _config.KeyValueHeads);
        if (context.Cache is not null) (keys, values) = context.Cache.Append(Layer, keys, values);

        // The queries of a group lie one below the other, so that keys and values need not be repeated.
        long seen = keys.shape[2];
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

        Tensor Heads(Tensor projected, int heads) => projected.view(batch, length, heads, width).transpose(1, 2);
    }
}
