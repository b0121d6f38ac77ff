using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>A T5's attention: softmax(q·kᵀ + bias)·v. The scores are not scaled, and the first layer of a stack holds the bias of relative positions for all.</summary>
internal sealed class T5Attention : nn.Module<Tensor, T5Pass, Tensor>
{
    private readonly T5Config _config;
    private readonly int _layer;
    private readonly bool _crosses;
    private readonly RelativeBuckets? _buckets;

    [ComponentName(Name = "q")]
    private nn.Module<Tensor, Tensor> _query;

    [ComponentName(Name = "k")]
    private nn.Module<Tensor, Tensor> _key;

    [ComponentName(Name = "v")]
    private nn.Module<Tensor, Tensor> _value;

    [ComponentName(Name = "o")]
    private nn.Module<Tensor, Tensor> _output;

    [ComponentName(Name = "relative_attention_bias")]
    private nn.Module<Tensor, Tensor>? _positions;

    /// <param name="config">The model's shape.</param>
    /// <param name="layer">Which layer this is, for the cache.</param>
    /// <param name="crosses">Whether it looks at what the encoder gave.</param>
    /// <param name="buckets">The buckets of the positions where this layer holds their bias, else null.</param>
    /// <param name="dataType">The type of its weights.</param>
    /// <param name="device">Where it lives.</param>
    internal T5Attention(T5Config config, int layer, bool crosses, RelativeBuckets? buckets, ScalarType dataType, Device device)
        : base(nameof(T5Attention))
    {
        (_config, _layer, _crosses, _buckets) = (config, layer, crosses, buckets);
        int inner = config.Heads * config.HeadDimension;
        _query = UnfilledLayers.Linear(config.HiddenSize, inner, hasBias: false, dataType, device);
        _key = UnfilledLayers.Linear(config.HiddenSize, inner, hasBias: false, dataType, device);
        _value = UnfilledLayers.Linear(config.HiddenSize, inner, hasBias: false, dataType, device);
        _output = UnfilledLayers.Linear(inner, config.HiddenSize, hasBias: false, dataType, device);
        if (buckets is not null) _positions = UnfilledLayers.Embedding(config.RelativeBuckets, config.Heads, null, dataType, device);
        RegisterComponents();
    }

    /// <summary>The bias of relative positions, shape <c>[1, heads, queries, keys]</c>.</summary>
    internal Tensor PositionBias(long past, long queries, long keys, Device device)
    {
        using var scope = NewDisposeScope();
        return _positions!.call(_buckets!.Between(past, queries, keys, device)).permute(2, 0, 1).unsqueeze(0).MoveToOuterDisposeScope();
    }

    public override Tensor forward(Tensor x, T5Pass pass)
    {
        using var scope = NewDisposeScope();
        long batch = x.shape[0], length = x.shape[1];
        (Tensor queries, Tensor keys, Tensor values) = _crosses ? Crossed(x, pass) : Own(x, pass.Cache);
        Tensor scores = queries.matmul(keys.transpose(2, 3));
        if ((_crosses ? pass.EncodedBias : pass.Bias) is Tensor bias) scores = scores.add(bias);
        // In float32 whatever the model's type, as in transformers.
        ScalarType precise = x.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        Tensor weights = Dropouts.Apply(nn.functional.softmax(scores, -1, precise).to(x.dtype), _config.Dropout, training);
        Tensor mixed = weights.matmul(values).transpose(1, 2).reshape(batch, length, _config.Heads * _config.HeadDimension);
        return _output.call(mixed).MoveToOuterDisposeScope();
    }

    private (Tensor Queries, Tensor Keys, Tensor Values) Own(Tensor x, SequenceToSequenceCache? cache)
    {
        Tensor[] heads = [.. SharedInput.Call(x, _query, _key, _value).Select(Heads)];
        (Tensor keys, Tensor values) = cache is null ? (heads[1], heads[2]) : cache.Decoded.Append(_layer, heads[1], heads[2]);
        return (heads[0], keys, values);
    }

    // What the encoder gave is the same at each step of decoding.
    private (Tensor Queries, Tensor Keys, Tensor Values) Crossed(Tensor x, T5Pass pass)
    {
        Tensor queries = Heads(_query.call(x));
        (Tensor keys, Tensor values) = pass.Cache is null ? OfEncoded(pass) : pass.Cache.Encoded(_layer, () => OfEncoded(pass));
        return (queries, keys, values);
    }

    private (Tensor Keys, Tensor Values) OfEncoded(T5Pass pass)
    {
        Tensor[] heads = [.. SharedInput.Call(pass.Encoded!, _key, _value).Select(Heads)];
        return (heads[0], heads[1]);
    }

    private Tensor Heads(Tensor projected) => projected.view(projected.shape[0], projected.shape[1], _config.Heads, _config.HeadDimension).transpose(1, 2);
}
