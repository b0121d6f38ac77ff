using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>GPT-2's feed-forward part: proj(activation(fc(x))).</summary>
internal sealed class Gpt2Mlp : nn.Module<Tensor, Tensor>
{
    private readonly Func<Tensor, Tensor> _activation;

    [ComponentName(Name = "c_fc")]
    private nn.Module<Tensor, Tensor> _up;

    [ComponentName(Name = "c_proj")]
    private nn.Module<Tensor, Tensor> _down;

    internal Gpt2Mlp(Gpt2Config config, ScalarType dataType, Device device)
        : base(nameof(Gpt2Mlp))
    {
        _activation = Activations.Find(config.Activation)!;
        _up = UnfilledLayers.TransposedLinear(config.HiddenSize, config.InnerSize, dataType, device);
        _down = UnfilledLayers.TransposedLinear(config.InnerSize, config.HiddenSize, dataType, device);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return _down.call(_activation(_up.call(x))).MoveToOuterDisposeScope();
    }
}
