using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>A decoder that classifies reads the rightmost token that is no padding, as transformers does: on whichever side the padding lies, each text gets the logits that it has alone.</summary>
public sealed class DecoderClassifierPaddingTests
{
    private const int Pad = 0;

    private static readonly int[] _lengths = [7, 3, 1];

    public static TheoryData<string> Families => ["llama", "mistral", "qwen2", "qwen3", "gemma2", "phi3"];

    [Theory]
    [MemberData(nameof(Families))]
    public void Padding_on_either_side_changes_nothing(string family)
    {
        using DecoderSequenceClassifier model = Make(family);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor[] texts = [.. _lengths.Select((length, row) => TinyLlama.Ids(1, length, seed: row))];
        Tensor alone = cat([.. texts.Select(text => model.call(text))]);
        Assert.Equal([3, 3], alone.shape);
        Assert.True(alone.std().ToDouble() > 1e-3);
        foreach (bool left in new[] { false, true })
        {
            (Tensor ids, Tensor mask) = Padded(texts, left);
            Near(alone, model.call(new TextInput(ids) { AttentionMask = mask }));
        }
    }

    [Fact]
    public void The_rightmost_token_counts_also_where_padding_stands_inside()
    {
        // transformers: (token_indices * non_pad_mask).argmax(-1). A text may hold the padding token, where that is its end token too.
        using DecoderSequenceClassifier model = Make("llama");
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = tensor(new long[] { 5, Pad, 9, Pad, Pad }, [1, 5], device: TestDevice.Current), other = ids.clone();
        Near(model.call(ids.narrow(1, 0, 3)), model.call(ids));
        other[0, 4] = 11;
        Assert.True(model.call(ids).sub(model.call(other)).abs().max().ToDouble() > 1e-6);
        // Padding alone is read at its first place.
        Tensor nothing = full([2, 4], Pad, dtype: ScalarType.Int64, device: TestDevice.Current);
        Near(model.call(nothing.narrow(1, 0, 1)), model.call(nothing));
    }

    [Fact]
    public void Without_a_padding_token_one_text_is_read_at_its_end()
    {
        using var model = TinyLlama.Filled(new DecoderSequenceClassifier(TinyLlama.Config, ["a", "b"], dataType: ScalarType.Float64, device: TestDevice.Current));
        using var scope = NewDisposeScope();
        Assert.Equal([1, 2], model.call(TinyLlama.Ids(1, 4)).shape);
        Assert.Equal(
            "There are 2 texts, but the configuration has no padding token (pad_token_id), so the end of the shorter ones is not known: set PadTokenId, or call with one text.",
            Assert.Throws<ArgumentException>(() => model.call(TinyLlama.Ids(2, 4))).Message);
    }

    private static (Tensor Ids, Tensor Mask) Padded(Tensor[] texts, bool left)
    {
        long longest = texts.Max(text => text.shape[1]);
        Tensor ids = full([texts.Length, longest], Pad, dtype: ScalarType.Int64, device: TestDevice.Current), mask = zeros_like(ids);
        for (int row = 0; row < texts.Length; row++)
        {
            long length = texts[row].shape[1], start = left ? longest - length : 0;
            ids[row].narrow(0, start, length).copy_(texts[row][0]);
            mask[row].narrow(0, start, length).fill_(1);
        }
        return (ids, mask);
    }

    private static DecoderSequenceClassifier Make(string family)
    {
        const int Vocabulary = 37, Width = 20, Inner = 27, Layers = 2, Heads = 6, KeyHeads = 2, Head = 4;
        DecoderConfig config = family switch
        {
            "mistral" => new MistralConfig { VocabularySize = Vocabulary, HiddenSize = Width, IntermediateSize = Inner, Layers = Layers, Heads = Heads, KeyValueHeads = KeyHeads, HeadDimension = Head, SlidingWindow = 3, PadTokenId = Pad },
            "qwen2" => new Qwen2Config { VocabularySize = Vocabulary, HiddenSize = Width, IntermediateSize = Inner, Layers = Layers, Heads = Heads, KeyValueHeads = KeyHeads, HeadDimension = Head, PadTokenId = Pad },
            "qwen3" => new Qwen3Config { VocabularySize = Vocabulary, HiddenSize = Width, IntermediateSize = Inner, Layers = Layers, Heads = Heads, KeyValueHeads = KeyHeads, HeadDimension = Head, PadTokenId = Pad },
            "gemma2" => new Gemma2Config { VocabularySize = Vocabulary, HiddenSize = Width, IntermediateSize = Inner, Layers = Layers, Heads = Heads, KeyValueHeads = KeyHeads, HeadDimension = Head, SlidingWindow = 3, PadTokenId = Pad },
            "phi3" => new Phi3Config { VocabularySize = Vocabulary, HiddenSize = Width, IntermediateSize = Inner, Layers = Layers, Heads = Heads, KeyValueHeads = KeyHeads, HeadDimension = Head, PadTokenId = Pad },
            _ => TinyLlama.Config with { PadTokenId = Pad },
        };
        return TinyLlama.Filled(new DecoderSequenceClassifier(config, ["a", "b", "c"], dataType: ScalarType.Float64, device: TestDevice.Current));
    }

    private static void Near(Tensor wanted, Tensor found) => Assert.True(found.allclose(wanted, 1e-11, 1e-11), $"{found.sub(wanted).abs().max().ToDouble():G3}");
}
