using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>One layer of a ViT: attention and feed-forward, each behind a norm and added to what came in. Its paths are those of transformers 5.</summary>
internal sealed class ViTLayer : nn.Module<Tensor, Tensor>
{
    private readonly double _dropout;

    [ComponentName(Name = "attention")]
    private nn.Module<Tensor, Tensor> _attention;

    [ComponentName(Name = "mlp")]
    private nn.Module<Tensor, Tensor> _mlp;

    [ComponentName(Name = "layernorm_before")]
    private nn.Module<Tensor, Tensor> _outerNorm;

    [ComponentName(Name = "layernorm_after")]
    private nn.Module<Tensor, Tensor> _innerNorm;

    internal ViTLayer(ViTConfig config, ScalarType dataType, Device device)
        : base(nameof(ViTLayer))
    {
        _dropout = config.HiddenDropout;
        _attention = new Attention(config, dataType, device);
        _mlp = new Mlp(config, dataType, device);
        _outerNorm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        _innerNorm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor attended = x.add(Dropouts.Apply(_attention.call(_outerNorm.call(x)), _dropout, training));
        return attended.add(Dropouts.Apply(_mlp.call(_innerNorm.call(attended)), _dropout, training)).MoveToOuterDisposeScope();
    }

    private sealed class Attention : nn.Module<Tensor, Tensor>
    {
        private readonly ViTConfig _config;

        [ComponentName(Name = "q_proj")]
        private nn.Module<Tensor, Tensor> _query;

        [ComponentName(Name = "k_proj")]
        private nn.Module<Tensor, Tensor> _key;

        [ComponentName(Name = "v_proj")]
        private nn.Module<Tensor, Tensor> _value;

        [ComponentName(Name = "o_proj")]
        private nn.Module<Tensor, Tensor> _output;

        internal Attention(ViTConfig config, ScalarType dataType, Device device)
            : base(nameof(Attention))
        {
            _config = config;
            (_query, _key, _value, _output) = (Square(config.QueryKeyValueBias), Square(config.QueryKeyValueBias), Square(config.QueryKeyValueBias), Square(true));
            RegisterComponents();

            nn.Module<Tensor, Tensor> Square(bool hasBias) => UnfilledLayers.Linear(config.HiddenSize, config.HiddenSize, hasBias, dataType, device);
        }

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            Tensor[] projected = SharedInput.Call(x, _query, _key, _value);
            Tensor mixed = MultiHead.Mix(projected[0], projected[1], projected[2], _config.Heads, training ? _config.AttentionDropout : 0);
            return _output.call(mixed).MoveToOuterDisposeScope();
        }
    }

    private sealed class Mlp : nn.Module<Tensor, Tensor>
    {
        private readonly Func<Tensor, Tensor> _activation;

        [ComponentName(Name = "fc1")]
        private nn.Module<Tensor, Tensor> _inner;

        [ComponentName(Name = "fc2")]
        private nn.Module<Tensor, Tensor> _outer;

        internal Mlp(ViTConfig config, ScalarType dataType, Device device)
            : base(nameof(Mlp))
        {
            _activation = Activations.Find(config.Activation)!;
            _inner = UnfilledLayers.Linear(config.HiddenSize, config.IntermediateSize, hasBias: true, dataType, device);
            _outer = UnfilledLayers.Linear(config.IntermediateSize, config.HiddenSize, hasBias: true, dataType, device);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            return _outer.call(_activation(_inner.call(x))).MoveToOuterDisposeScope();
        }
    }
}
