using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>One part of a T5's block: attention behind a norm, added to what came in.</summary>
internal abstract class T5AttentionLayer : nn.Module<Tensor, T5Pass, Tensor>
{
    private readonly double _dropout;

    [ComponentName(Name = "layer_norm")]
    private protected nn.Module<Tensor, Tensor> _norm;

    private protected T5AttentionLayer(string name, T5Config config, ScalarType dataType, Device device)
        : base(name)
    {
        _dropout = config.Dropout;
        _norm = new RmsNorm(config.HiddenSize, config.NormEpsilon, dataType, device);
    }

    internal abstract T5Attention Attention { get; }

    public override Tensor forward(Tensor x, T5Pass pass)
    {
        using var scope = NewDisposeScope();
        Tensor change = Attention.call(_norm.call(x), pass);
        return x.add(Dropouts.Apply(change, _dropout, training)).MoveToOuterDisposeScope();
    }
}

/// <summary>The attention of a text to itself.</summary>
internal sealed class T5SelfAttentionLayer : T5AttentionLayer
{
    [ComponentName(Name = "SelfAttention")]
    private T5Attention _attention;

    internal T5SelfAttentionLayer(T5Config config, int layer, RelativeBuckets? buckets, ScalarType dataType, Device device)
        : base(nameof(T5SelfAttentionLayer), config, dataType, device)
    {
        _attention = new T5Attention(config, layer, crosses: false, buckets, dataType, device);
        RegisterComponents();
    }

    internal override T5Attention Attention => _attention;
}

/// <summary>The attention of a decoded text to the encoded one.</summary>
internal sealed class T5CrossAttentionLayer : T5AttentionLayer
{
    [ComponentName(Name = "EncDecAttention")]
    private T5Attention _attention;

    internal T5CrossAttentionLayer(T5Config config, int layer, ScalarType dataType, Device device)
        : base(nameof(T5CrossAttentionLayer), config, dataType, device)
    {
        _attention = new T5Attention(config, layer, crosses: true, buckets: null, dataType, device);
        RegisterComponents();
    }

    internal override T5Attention Attention => _attention;
}
