using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>GPT-2's self-attention: queries, keys and values are one projection, and know nothing of positions.</summary>
internal sealed class Gpt2Attention : nn.Module<Tensor, AttentionContext, Tensor>
{
    private readonly ScaledAttention _attention;

    [ComponentName(Name = "c_attn")]
    private nn.Module<Tensor, Tensor> _inputs;

    [ComponentName(Name = "c_proj")]
    private nn.Module<Tensor, Tensor> _output;

    internal Gpt2Attention(Gpt2Config config, int layer, ScalarType dataType, Device device)
        : base(nameof(Gpt2Attention))
    {
        _attention = config.AttentionOf(layer);
        _inputs = UnfilledLayers.TransposedLinear(config.HiddenSize, 3L * config.HiddenSize, dataType, device);
        _output = UnfilledLayers.TransposedLinear(config.HiddenSize, config.HiddenSize, dataType, device);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        Tensor all = _inputs.call(x);
        long width = all.shape[2] / 3;
        Tensor mixed = _attention.Mix(all.narrow(2, 0, width), all.narrow(2, width, width), all.narrow(2, 2 * width, width), context, training);
        return _output.call(mixed).MoveToOuterDisposeScope();
    }
}
