using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>One layer of a decoder: attention and feed-forward, each behind a norm and added to what came in.</summary>
internal sealed class DecoderLayer : nn.Module<Tensor, AttentionContext, Tensor>
{
    [ComponentName(Name = "self_attn")]
    private CausalAttention _attention;

    [ComponentName(Name = "mlp")]
    private GatedMlp _mlp;

    [ComponentName(Name = "input_layernorm")]
    private nn.Module<Tensor, Tensor> _inputNorm;

    [ComponentName(Name = "post_attention_layernorm")]
    private nn.Module<Tensor, Tensor> _innerNorm;

    internal DecoderLayer(DecoderConfig config, int layer, ScalarType dataType, Device device)
        : base(nameof(DecoderLayer))
    {
        _attention = new CausalAttention(config, layer, dataType, device);
        _mlp = new GatedMlp(config.HiddenSize, config.IntermediateSize, config.FeedForwardBias, dataType, device);
        _inputNorm = new RmsNorm(config.HiddenSize, config.NormEpsilon, dataType, device);
        _innerNorm = new RmsNorm(config.HiddenSize, config.NormEpsilon, dataType, device);
        RegisterComponents();
    }

    /// <summary>Which layer this is, for the cache.</summary>
    internal int Place
    {
        set => _attention.Layer = value;
    }

    public override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        Tensor attended = x.add(_attention.call(_inputNorm.call(x), context));
        return attended.add(_mlp.call(_innerNorm.call(attended))).MoveToOuterDisposeScope();
    }
}
