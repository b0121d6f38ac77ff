using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>A <see cref="ViTLayer"/> with the paths of transformers 4, such as <c>attention.attention.query</c>.</summary>
internal sealed class ClassicViTLayer : nn.Module<Tensor, Tensor>
{
    private readonly Func<Tensor, Tensor> _activation;
    private readonly double _dropout;

    [ComponentName(Name = "attention")]
    private nn.Module<Tensor, Tensor> _attention;

    [ComponentName(Name = "intermediate")]
    private nn.Module<Tensor, Tensor> _inner;

    [ComponentName(Name = "output")]
    private nn.Module<Tensor, Tensor> _outer;

    [ComponentName(Name = "layernorm_before")]
    private nn.Module<Tensor, Tensor> _outerNorm;

    [ComponentName(Name = "layernorm_after")]
    private nn.Module<Tensor, Tensor> _innerNorm;

    internal ClassicViTLayer(ViTConfig config, ScalarType dataType, Device device)
        : base(nameof(ClassicViTLayer))
    {
        _activation = Activations.Find(config.Activation)!;
        _dropout = config.HiddenDropout;
        _attention = new Attention(config, dataType, device);
        _inner = new Dense(config.HiddenSize, config.IntermediateSize, dataType, device);
        _outer = new Dense(config.IntermediateSize, config.HiddenSize, dataType, device);
        _outerNorm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        _innerNorm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor attended = x.add(Dropouts.Apply(_attention.call(_outerNorm.call(x)), _dropout, training));
        Tensor change = _outer.call(_activation(_inner.call(_innerNorm.call(attended))));
        return attended.add(Dropouts.Apply(change, _dropout, training)).MoveToOuterDisposeScope();
    }

    private sealed class Attention : nn.Module<Tensor, Tensor>
    {
        [ComponentName(Name = "attention")]
        private nn.Module<Tensor, Tensor> _heads;

        [ComponentName(Name = "output")]
        private nn.Module<Tensor, Tensor> _output;

        internal Attention(ViTConfig config, ScalarType dataType, Device device)
            : base(nameof(Attention))
        {
            _heads = new Heads(config, dataType, device);
            _output = new Dense(config.HiddenSize, config.HiddenSize, dataType, device);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using Tensor mixed = _heads.call(x);
            return _output.call(mixed);
        }
    }

    private sealed class Heads : nn.Module<Tensor, Tensor>
    {
        private readonly ViTConfig _config;

        [ComponentName(Name = "query")]
        private nn.Module<Tensor, Tensor> _query;

        [ComponentName(Name = "key")]
        private nn.Module<Tensor, Tensor> _key;

        [ComponentName(Name = "value")]
        private nn.Module<Tensor, Tensor> _value;

        internal Heads(ViTConfig config, ScalarType dataType, Device device)
            : base(nameof(Heads))
        {
            _config = config;
            (_query, _key, _value) = (Square(), Square(), Square());
            RegisterComponents();

            nn.Module<Tensor, Tensor> Square() => UnfilledLayers.Linear(config.HiddenSize, config.HiddenSize, config.QueryKeyValueBias, dataType, device);
        }

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            Tensor[] projected = SharedInput.Call(x, _query, _key, _value);
            return MultiHead.Mix(projected[0], projected[1], projected[2], _config.Heads, training ? _config.AttentionDropout : 0).MoveToOuterDisposeScope();
        }
    }

    private sealed class Dense : nn.Module<Tensor, Tensor>
    {
        [ComponentName(Name = "dense")]
        private nn.Module<Tensor, Tensor> _dense;

        internal Dense(int from, int to, ScalarType dataType, Device device)
            : base(nameof(Dense))
        {
            _dense = UnfilledLayers.Linear(from, to, hasBias: true, dataType, device);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => _dense.call(x);
    }
}
