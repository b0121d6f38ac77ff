using Lora.Llm.Tokenization;
using Lora.Tests;
using TorchSharp;
using static Lora.Llm.Tests.Tokenization.TokenizerJsonText;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>Batches of one length: sides, multiples, limits and tensors.</summary>
public sealed class TokenizerBatchTests
{
    private static readonly HuggingFaceTokenizer Tokenizer = Load(
        WordPiece(["[UNK]", "[CLS]", "[SEP]", "a", "b"]),
        "'pre_tokenizer': {'type': 'Whitespace'}, 'post_processor': {'type': 'BertProcessing', 'cls': ['[CLS]', 1], 'sep': ['[SEP]', 2]}");

    [Fact]
    public void Rows_are_filled_up_on_the_right()
    {
        TokenizerBatch batch = Tokenizer.EncodeBatch(["a b a", "", "b"], new PaddingOptions { PadId = 7 });
        Assert.Equal((3, 5), (batch.Count, batch.Length));
        Assert.Equal([[1, 3, 4, 3, 2], [1, 2, 7, 7, 7], [1, 4, 2, 7, 7]], batch.Ids);
        Assert.Equal([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], batch.AttentionMask);
        Assert.Equal([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]], batch.TypeIds);
        Assert.Equal("b", batch.Encodings[2].Tokens[1]);
        Assert.Equal("3 × 5 tokens", batch.ToString());
    }

    [Fact]
    public void Rows_are_filled_up_on_the_left_to_a_multiple()
    {
        TokenizerBatch batch = Tokenizer.EncodeBatch(
            [("a", "b b"), ("a", "b")], new PaddingOptions { Side = PaddingSide.Left, PadId = 9, PadTypeId = 3, MultipleOf = 4 }, maxLength: 5);
        Assert.Equal([[9, 9, 9, 1, 3, 2, 4, 2], [9, 9, 9, 1, 3, 2, 4, 2]], batch.Ids);
        Assert.Equal([[0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1]], batch.AttentionMask);
        Assert.Equal([[3, 3, 3, 0, 0, 0, 1, 1], [3, 3, 3, 0, 0, 0, 1, 1]], batch.TypeIds);
    }

    [Fact]
    public void A_fixed_length_holds_all_rows_or_names_the_one_that_is_too_long()
    {
        Assert.Equal([[4, 0, 0], [3, 4, 0]], Tokenizer.EncodeBatch(["b", "a b"], new PaddingOptions { PadId = 0, Length = 3 }, addSpecialTokens: false).Ids);
        var error = Assert.Throws<ArgumentException>("encodings", () => Tokenizer.EncodeBatch(["b", "a b"], new PaddingOptions { PadId = 0, Length = 3 }));
        Assert.StartsWith("Text 1 has 4 tokens, more than the 3 asked for. Truncate with maxLength, or leave PaddingOptions.Length null.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_tokenizers_own_pad_token_is_the_default()
    {
        using var stream = new MemoryStream("""{"model": {"type": "WordLevel", "unk_token": "u", "vocab": {"u": 0, "<pad>": 1}}, "pre_tokenizer": {"type": "WhitespaceSplit"}}"""u8.ToArray());
        HuggingFaceTokenizer named = HuggingFaceTokenizer.FromStream(stream, new SpecialTokenNames { Pad = "<pad>" });
        Assert.Equal([[0, 0], [0, 1]], named.EncodeBatch(["x x", "x"], new PaddingOptions()).Ids);

        var error = Assert.Throws<InvalidOperationException>(() => Tokenizer.EncodeBatch(["a"], new PaddingOptions()));
        Assert.Equal("The tokenizer names no token that fills rows up. Set PaddingOptions.PadId; the attention mask hides whatever it is.", error.Message);
        var missing = Assert.Throws<ArgumentException>("options", () => TokenizerBatch.Pad([Tokenizer.Encode("a")], new PaddingOptions()));
        Assert.StartsWith("PaddingOptions.PadId is not set. Set it, or pad through HuggingFaceTokenizer.EncodeBatch, which knows the tokenizer's own.", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Lengths_below_one_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => TokenizerBatch.Pad([], new PaddingOptions { PadId = 0, MultipleOf = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => TokenizerBatch.Pad([], new PaddingOptions { PadId = 0, Length = -1 }));
        Assert.Equal("0 × 0 tokens", TokenizerBatch.Pad([], new PaddingOptions { PadId = 0 }).ToString());
    }

    [Fact]
    public void Tensors_hold_the_rows()
    {
        TokenizerBatch batch = Tokenizer.EncodeBatch([("a", "b"), ("", "b")], new PaddingOptions { PadId = 7, Side = PaddingSide.Left });
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (torch.NewDisposeScope())
        {
            torch.Tensor ids = batch.IdsTensor(TestDevice.Current), mask = batch.AttentionMaskTensor(TestDevice.Current), types = batch.TypeIdsTensor(TestDevice.Current);
            Assert.All([ids, mask, types], item => Assert.Equal([2, 5], item.shape));
            Assert.Equal(torch.ScalarType.Int64, ids.dtype);
            Assert.Equal([1, 3, 2, 4, 2, 7, 1, 2, 4, 2], ids.cpu().data<long>().ToArray());
            Assert.Equal([1, 1, 1, 1, 1, 0, 1, 1, 1, 1], mask.cpu().data<long>().ToArray());
            Assert.Equal([0, 0, 0, 1, 1, 0, 0, 0, 1, 1], types.cpu().data<long>().ToArray());
        }

        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
