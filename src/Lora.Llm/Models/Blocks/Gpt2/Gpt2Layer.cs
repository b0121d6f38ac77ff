using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>One layer of a GPT-2: attention and feed-forward, each behind a layer norm and added to what came in.</summary>
internal sealed class Gpt2Layer : nn.Module<Tensor, AttentionContext, Tensor>
{
    private readonly double _dropout;

    [ComponentName(Name = "ln_1")]
    private nn.Module<Tensor, Tensor> _attentionNorm;

    [ComponentName(Name = "attn")]
    private Gpt2Attention _attention;

    [ComponentName(Name = "ln_2")]
    private nn.Module<Tensor, Tensor> _mlpNorm;

    [ComponentName(Name = "mlp")]
    private Gpt2Mlp _mlp;

    internal Gpt2Layer(Gpt2Config config, int layer, ScalarType dataType, Device device)
        : base(nameof(Gpt2Layer))
    {
        _dropout = config.ResidualDropout;
        _attentionNorm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        _attention = new Gpt2Attention(config, layer, dataType, device);
        _mlpNorm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        _mlp = new Gpt2Mlp(config, dataType, device);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        Tensor attended = x.add(Dropouts.Apply(_attention.call(_attentionNorm.call(x), context), _dropout, training));
        return attended.add(Dropouts.Apply(_mlp.call(_mlpNorm.call(attended)), _dropout, training)).MoveToOuterDisposeScope();
    }
}
