using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Attention and feed-forward, each behind a norm and added to what came in.</summary>
internal sealed class PreNormLayer : DecoderLayer
{
    [ComponentName(Name = "self_attn")]
    private nn.Module<Tensor, AttentionContext, Tensor> _attention;

    [ComponentName(Name = "mlp")]
    private nn.Module<Tensor, Tensor> _mlp;

    [ComponentName(Name = "input_layernorm")]
    private nn.Module<Tensor, Tensor> _inputNorm;

    [ComponentName(Name = "post_attention_layernorm")]
    private nn.Module<Tensor, Tensor> _innerNorm;

    internal PreNormLayer(LayerReach reach, nn.Module<Tensor, AttentionContext, Tensor> attention, nn.Module<Tensor, Tensor> mlp, Func<nn.Module<Tensor, Tensor>> norm)
        : base(nameof(PreNormLayer), reach)
    {
        _attention = attention;
        _mlp = mlp;
        _inputNorm = norm();
        _innerNorm = norm();
        RegisterComponents();
    }

    /// <summary>The share of what either part adds that training drops.</summary>
    internal double Dropout { get; init; }

    public override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        Tensor attended = x.add(Dropouts.Apply(_attention.call(_inputNorm.call(x), context), Dropout, training));
        return attended.add(Dropouts.Apply(_mlp.call(_innerNorm.call(attended)), Dropout, training)).MoveToOuterDisposeScope();
    }
}
