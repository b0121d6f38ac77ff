using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Attention and feed-forward, each between two norms and added to what came in (Gemma Team 2024).</summary>
internal sealed class SandwichLayer : DecoderLayer
{
    [ComponentName(Name = "self_attn")]
    private nn.Module<Tensor, AttentionContext, Tensor> _attention;

    [ComponentName(Name = "mlp")]
    private nn.Module<Tensor, Tensor> _mlp;

    [ComponentName(Name = "input_layernorm")]
    private nn.Module<Tensor, Tensor> _beforeAttention;

    [ComponentName(Name = "post_attention_layernorm")]
    private nn.Module<Tensor, Tensor> _afterAttention;

    [ComponentName(Name = "pre_feedforward_layernorm")]
    private nn.Module<Tensor, Tensor> _beforeMlp;

    [ComponentName(Name = "post_feedforward_layernorm")]
    private nn.Module<Tensor, Tensor> _afterMlp;

    internal SandwichLayer(LayerReach reach, nn.Module<Tensor, AttentionContext, Tensor> attention, nn.Module<Tensor, Tensor> mlp, Func<nn.Module<Tensor, Tensor>> norm)
        : base(nameof(SandwichLayer), reach)
    {
        _attention = attention;
        _mlp = mlp;
        _beforeAttention = norm();
        _afterAttention = norm();
        _beforeMlp = norm();
        _afterMlp = norm();
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        Tensor attended = x.add(_afterAttention.call(_attention.call(_beforeAttention.call(x), context)));
        return attended.add(_afterMlp.call(_mlp.call(_beforeMlp.call(attended)))).MoveToOuterDisposeScope();
    }
}
