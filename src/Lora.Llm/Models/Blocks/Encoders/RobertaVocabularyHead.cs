using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The head of RoBERTa's masked language model, under the paths of transformers: <c>dense</c>, <c>layer_norm</c>, <c>bias</c>.</summary>
internal sealed class RobertaVocabularyHead : VocabularyHead
{
    [ComponentName(Name = "dense")]
    private nn.Module<Tensor, Tensor> _dense;

    [ComponentName(Name = "layer_norm")]
    private nn.Module<Tensor, Tensor> _norm;

    internal RobertaVocabularyHead(EncoderConfig config, Embedding words, ScalarType dataType, Device device)
        : base(nameof(RobertaVocabularyHead), config, words, dataType, device)
    {
        _dense = UnfilledLayers.Linear(config.HiddenSize, config.HiddenSize, hasBias: true, dataType, device);
        _norm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        RegisterComponents();
    }

    private protected override Tensor Transform(Tensor hidden) => _norm.call(nn.functional.gelu(_dense.call(hidden)));
}
