using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The head of BERT's masked language model, under the paths of transformers: <c>predictions.transform</c>, <c>predictions.bias</c>.</summary>
internal sealed class BertVocabularyHead : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "predictions")]
    private Predictions _predictions;

    internal BertVocabularyHead(EncoderConfig config, Embedding words, ScalarType dataType, Device device)
        : base(nameof(BertVocabularyHead))
    {
        _predictions = new Predictions(config, words, dataType, device);
        RegisterComponents();
    }

    /// <summary>The projection to the vocabulary.</summary>
    internal nn.Module Decoder => _predictions.Decoder;

    public override Tensor forward(Tensor hidden) => _predictions.call(hidden);

    private sealed class Predictions : VocabularyHead
    {
        [ComponentName(Name = "transform")]
        private Transformation _transform;

        internal Predictions(EncoderConfig config, Embedding words, ScalarType dataType, Device device)
            : base(nameof(Predictions), config, words, dataType, device)
        {
            _transform = new Transformation(config, dataType, device);
            RegisterComponents();
        }

        private protected override Tensor Transform(Tensor hidden) => _transform.call(hidden);
    }

    private sealed class Transformation : nn.Module<Tensor, Tensor>
    {
        [ComponentName(Name = "dense")]
        private nn.Module<Tensor, Tensor> _dense;

        [ComponentName(Name = "LayerNorm")]
        private nn.Module<Tensor, Tensor> _norm;

        internal Transformation(EncoderConfig config, ScalarType dataType, Device device)
            : base(nameof(Transformation))
        {
            _dense = UnfilledLayers.Linear(config.HiddenSize, config.HiddenSize, hasBias: true, dataType, device);
            _norm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
            RegisterComponents();
        }

        public override Tensor forward(Tensor hidden)
        {
            using var scope = NewDisposeScope();
            return _norm.call(nn.functional.gelu(_dense.call(hidden))).MoveToOuterDisposeScope();
        }
    }
}
