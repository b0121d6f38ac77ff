using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Encoders;

/// <summary>Small encoders of odd, different sizes, with every weight drawn at random.</summary>
internal static class TinyEncoders
{
    public static BertConfig Bert { get; } = new()
    {
        VocabularySize = 37,
        HiddenSize = 18,
        IntermediateSize = 25,
        Layers = 2,
        Heads = 3,
        Positions = 16,
        TokenTypes = 3,
        Labels = ["no", "yes", "maybe", "never"],
    };

    public static RobertaConfig Roberta { get; } = new()
    {
        VocabularySize = 37,
        HiddenSize = 18,
        IntermediateSize = 25,
        Layers = 2,
        Heads = 3,
        Positions = 16,
        TokenTypes = 1,
        PadTokenId = 2,
        Labels = ["no", "yes", "maybe", "never"],
    };

    /// <summary>Every encoder, by its family and its task.</summary>
    public static nn.Module<TextInput, Tensor> Make(string family, Type task, ScalarType type = ScalarType.Float64)
    {
        Device device = TestDevice.Current;
        nn.Module<TextInput, Tensor> model = (family, task.Name) switch
        {
            ("bert", nameof(SequenceClassifier)) => new BertSequenceClassifier(Bert, type, device),
            ("bert", nameof(TokenClassifier)) => new BertTokenClassifier(Bert, type, device),
            ("bert", nameof(MaskedLanguageModel)) => new BertMaskedLanguageModel(Bert, type, device),
            ("roberta", nameof(SequenceClassifier)) => new RobertaSequenceClassifier(Roberta, type, device),
            ("roberta", nameof(TokenClassifier)) => new RobertaTokenClassifier(Roberta, type, device),
            ("roberta", nameof(MaskedLanguageModel)) => new RobertaMaskedLanguageModel(Roberta, type, device),
            _ => throw new ArgumentException($"{family} {task.Name}"),
        };
        return TinyLlama.Filled(model);
    }

    /// <summary>Token ids without padding: 3 and above.</summary>
    public static Tensor Ids(int batch, int length, long seed = 3)
    {
        using var generator = new Generator((ulong)seed);
        return randint(3, 37, [batch, length], dtype: ScalarType.Int64, generator: generator).to(TestDevice.Current);
    }

    /// <summary>The ids with padding on one side, and the mask.</summary>
    public static (Tensor Ids, Tensor Mask) Padded(Tensor ids, int padding, int token, bool left)
    {
        Tensor fill = full([ids.shape[0], padding], token, dtype: ScalarType.Int64, device: ids.device), nothing = zeros_like(fill), all = ones_like(ids);
        return left ? (cat([fill, ids], 1), cat([nothing, all], 1)) : (cat([ids, fill], 1), cat([all, nothing], 1));
    }
}
