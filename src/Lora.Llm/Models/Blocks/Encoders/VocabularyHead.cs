using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The output head of a masked language model: a projection to the vocabulary by the token embedding's weight, with a bias of its own.</summary>
internal abstract class VocabularyHead : nn.Module<Tensor, Tensor>
{
    // Not private: components are registered by the fields that the head's own class can see.
    [ComponentName(Name = "bias")]
    private protected Parameter _bias;

    [ComponentName(Name = "decoder")]
    private protected nn.Module<Tensor, Tensor> _decoder;

    private protected VocabularyHead(string name, EncoderConfig config, Embedding words, ScalarType dataType, Device device)
        : base(name)
    {
        _bias = new Parameter(empty([config.VocabularySize], dtype: dataType, device: device));
        _bias.DetachFromDisposeScope();
        _decoder = new TiedHead(() => words.weight!);
    }

    /// <summary>The projection to the vocabulary.</summary>
    internal nn.Module Decoder => _decoder;

    /// <summary>What lies before the projection.</summary>
    private protected abstract Tensor Transform(Tensor hidden);

    public override Tensor forward(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        return _decoder.call(Transform(hidden)).add(_bias).MoveToOuterDisposeScope();
    }
}
