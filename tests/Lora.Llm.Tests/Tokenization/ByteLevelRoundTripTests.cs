using System.Text;
using Lora.Llm.Tokenization;
using static Lora.Llm.Tests.Tokenization.TokenizerJsonText;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>Byte-level tokenizers lose nothing, whatever the text, and take no longer for a hostile one than it is long.</summary>
public sealed class ByteLevelRoundTripTests
{
    private const string Frame = "'pre_tokenizer': {'type': 'ByteLevel', 'add_prefix_space': false}, 'decoder': {'type': 'ByteLevel'}";

    private static readonly HuggingFaceTokenizer Tokenizer =
        Load(Bpe([.. Bytes, "aa", "aaaa", "aaaaaaaa", "ĠĠ", "ĠĠĠĠ", "th", "the", "ðŁ"], ["a a", "aa aa", "aaaa aaaa", "Ġ Ġ", "ĠĠ ĠĠ", "t h", "th e", "ð Ł"]), Frame);

    [Fact]
    public void Decoding_gives_random_text_back()
    {
        var random = new Random(1);
        for (int round = 0; round < 500; round++)
        {
            var text = new StringBuilder();
            for (int i = random.Next(40); i > 0; i--)
            {
                int codePoint = random.Next(4) switch
                {
                    0 => random.Next(0x20, 0x7F),
                    1 => random.Next(0, 0x800),
                    2 => random.Next(0xE000, 0x110000),
                    _ => "a e\n\r\t\u00A0\u0301'st"[random.Next(11)],
                };
                text.Append(new Rune(codePoint));
            }

            string original = text.ToString();
            TokenizerEncoding encoding = Tokenizer.Encode(original);
            Assert.Equal(original, Tokenizer.Decode(encoding.Ids));
            Assert.Equal(encoding.Ids, Tokenizer.EncodeToIds(original));
            Assert.All(encoding.Offsets, offset => Assert.InRange(offset.Start.Value, 0, offset.End.Value - 1));
        }
    }

    [Theory]
    [InlineData("a")]
    [InlineData(" ")]
    [InlineData("😀")]
    [InlineData("\n ")]
    [InlineData("the ")]
    [InlineData("e\u0301\u0327")]
    public void A_megabyte_of_one_thing_comes_back(string unit)
    {
        string text = string.Concat(Enumerable.Repeat(unit, 1_000_000 / unit.Length));
        Assert.Equal(text, Tokenizer.Decode(Tokenizer.EncodeToIds(text)));
    }

    [Fact]
    public void A_word_costs_no_more_merges_than_it_has_letters()
    {
        using var json = System.Text.Json.JsonDocument.Parse("[\"a a\", \"aa aa\"]");
        var vocabulary = new ModelVocabulary(new Dictionary<string, int> { ["a"] = 0, ["aa"] = 1, ["aaaa"] = 2 }, ["a", "aa", "aaaa"]);
        var symbols = new SymbolList(MergeTable.Read(new JsonPart("tokenizer.json", "model.merges", json.RootElement), vocabulary, 0));
        for (int i = 0; i < 1_000_000; i++)
        {
            symbols.Add(0, i, i + 1);
        }

        symbols.MergeAll();
        Assert.Equal(750_000, symbols.MergeCount);
        Assert.Equal(250_000, symbols.ToTokens().Length);
    }

    [Fact]
    public void A_lone_surrogate_becomes_the_replacement_character() =>
        Assert.Equal("a\uFFFDb", Tokenizer.Decode(Tokenizer.EncodeToIds("a\uD83Db")));

    [Fact]
    public void A_limited_text_is_consumed_up_to_a_whole_character()
    {
        // The emoji is three tokens, of which two fit.
        IReadOnlyList<int> ids = Tokenizer.EncodeToIds("the😀", 3, out string? normalized, out int consumed);
        Assert.Equal(3, ids.Count);
        Assert.Equal(3, consumed);
        Assert.Null(normalized);
        Assert.Equal(4, Tokenizer.CountTokens("the😀"));
        Assert.Equal(3, Tokenizer.GetIndexByTokenCount("the😀", 1, out _, out int count));
        Assert.Equal(1, count);
        Assert.Equal(3, Tokenizer.GetIndexByTokenCountFromEnd("the😀", 3, out _, out _));
        Assert.Equal(5, Tokenizer.GetIndexByTokenCountFromEnd("the😀", 2, out _, out _));
    }

    [Fact]
    public void Decoding_fills_a_short_destination_with_whole_ids()
    {
        int[] ids = [.. Tokenizer.EncodeToIds("the the")];
        Span<char> destination = stackalloc char[5];
        Assert.Equal(System.Buffers.OperationStatus.DestinationTooSmall, Tokenizer.Decode(ids, destination, out int used, out int written));
        Assert.Equal("the ", destination[..written].ToString());
        Assert.Equal(2, used);
        Assert.Equal(System.Buffers.OperationStatus.Done, Tokenizer.Decode(ids, new char[7], out used, out written));
        Assert.Equal((ids.Length, 7), (used, written));
    }
}
