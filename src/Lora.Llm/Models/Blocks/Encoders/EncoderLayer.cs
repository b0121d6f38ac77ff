using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>One layer of an encoder: attention and feed-forward, each added to what came in and normed behind.</summary>
internal sealed class EncoderLayer : nn.Module<Tensor, Tensor?, Tensor>
{
    [ComponentName(Name = "attention")]
    private AttentionHalf _attention;

    [ComponentName(Name = "intermediate")]
    private Expansion _expansion;

    [ComponentName(Name = "output")]
    private AddedAndNormed _output;

    internal EncoderLayer(EncoderConfig config, ScalarType dataType, Device device)
        : base(nameof(EncoderLayer))
    {
        _attention = new AttentionHalf(config, dataType, device);
        _expansion = new Expansion(config, dataType, device);
        _output = new AddedAndNormed(config, config.IntermediateSize, dataType, device);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, Tensor? mask)
    {
        using var scope = NewDisposeScope();
        Tensor attended = _attention.call(x, mask);
        return _output.call(_expansion.call(attended), attended).MoveToOuterDisposeScope();
    }

    // The paths of transformers have a module for each half.
    private sealed class AttentionHalf : nn.Module<Tensor, Tensor?, Tensor>
    {
        [ComponentName(Name = "self")]
        private EncoderAttention _self;

        [ComponentName(Name = "output")]
        private AddedAndNormed _output;

        internal AttentionHalf(EncoderConfig config, ScalarType dataType, Device device)
            : base(nameof(AttentionHalf))
        {
            _self = new EncoderAttention(config.HiddenSize, config.Heads, config.AttentionDropout, dataType, device);
            _output = new AddedAndNormed(config, config.HiddenSize, dataType, device);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor? mask)
        {
            using Tensor mixed = _self.call(x, mask);
            return _output.call(mixed, x);
        }
    }

    private sealed class Expansion : nn.Module<Tensor, Tensor>
    {
        [ComponentName(Name = "dense")]
        private nn.Module<Tensor, Tensor> _dense;

        internal Expansion(EncoderConfig config, ScalarType dataType, Device device)
            : base(nameof(Expansion))
        {
            _dense = UnfilledLayers.Linear(config.HiddenSize, config.IntermediateSize, hasBias: true, dataType, device);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using Tensor inner = _dense.call(x);
            return nn.functional.gelu(inner);
        }
    }
}
