using System.Text;
using Lora.Llm.Tokenization;
using static Lora.Llm.Tests.Tokenization.TokenizerJsonText;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>Unigram: the spelling with the best score, unknown runs, and bytes in their place.</summary>
public sealed class UnigramTests
{
    private static readonly (string Piece, double Score)[] Pieces =
        [("<unk>", 0), ("a", 0), ("b", 0), ("c", 0), ("d", 0), ("cd", 1), ("ab", 2), ("abc", 5), ("abcd", 10)];

    private static readonly (string Piece, double Score)[] WithBytes =
        [.. Pieces, .. Enumerable.Range(0, 256).Select(value => ($"<0x{value:X2}>", -20.0))];

    [Theory]
    [InlineData("abcdacdxx", "abcd|a|cd|xx")]
    [InlineData("xabx😀y", "x|ab|x😀y")]
    [InlineData("<unk>a", "<unk>|a")]
    [InlineData("x<unk>", "x<unk>")]
    public void Gives_the_best_spelling_and_runs_of_unknown(string text, string expected)
    {
        HuggingFaceTokenizer tokenizer = Load(Unigram(Pieces));
        TokenizerEncoding encoding = tokenizer.Encode(text);
        Assert.Equal(expected, string.Join('|', encoding.Tokens));
        Assert.Equal(expected.Split('|'), encoding.Offsets.Select(offset => text[offset]));
        Assert.Equal(0, tokenizer.UnknownId);
        Assert.Equal(encoding.Ids, tokenizer.EncodeToIds(text));
    }

    [Fact]
    public void An_unknown_run_becomes_bytes_that_all_lie_where_it_is()
    {
        TokenizerEncoding encoding = Load(Unigram(WithBytes, fallsBackToBytes: true)).Encode("aéz");
        Assert.Equal(["a", "<0xC3>", "<0xA9>", "<0x7A>"], encoding.Tokens);
        Assert.Equal([0..1, 1..3, 1..3, 1..3], encoding.Offsets);
        Assert.Equal(["a", "é"], Load(Unigram(WithBytes)).Encode("aé").Tokens);
        Assert.Equal(["a", "é"], Load(Unigram([.. WithBytes.Where(item => item.Piece != "<0xA9>")], fallsBackToBytes: true)).Encode("aé").Tokens);
    }

    [Fact]
    public void Of_equal_spellings_the_one_with_the_earlier_last_piece_stays() =>
        Assert.Equal(["a", "bc"], Load(Unigram([("<unk>", -9), ("a", -1), ("c", -1), ("ab", -1), ("bc", -1), ("b", -5)])).Encode("abc").Tokens);

    [Fact]
    public void A_piece_that_comes_twice_counts_as_the_last()
    {
        HuggingFaceTokenizer tokenizer = Load(Unigram([("<unk>", 0), ("a", -1), ("b", -1), ("ab", -0.5), ("ab", -7)]));
        Assert.Equal([1, 2], tokenizer.Encode("ab").Ids);
        Assert.Equal("ab", tokenizer.IdToToken(3));
        Assert.Equal(4, tokenizer.TokenToId("ab"));
        Assert.Equal(4, tokenizer.VocabularySize);
    }

    [Fact]
    public void A_model_without_unknown_piece_serves_until_that_is_needed()
    {
        HuggingFaceTokenizer tokenizer = Load(Unigram(Pieces, unknown: null));
        Assert.Equal(["abcd"], tokenizer.Encode("abcd").Tokens);
        Assert.Null(tokenizer.UnknownId);
        var error = Assert.Throws<InvalidOperationException>(() => tokenizer.Encode("a😀"));
        Assert.Equal(
            "The text holds '😀', which no piece of the tokenizer's vocabulary spells, and the tokenizer has no unk_id. Set model.unk_id, or leave such characters out of the text.",
            error.Message);
    }

    [Fact]
    public void No_spelling_scores_better()
    {
        var random = new Random(5);
        for (int round = 0; round < 60; round++)
        {
            var scores = new Dictionary<string, double> { ["<unk>"] = -1 };
            for (int i = random.Next(3, 12); i > 0; i--)
            {
                scores[Word(random, random.Next(1, 5))] = -random.Next(1, 1000) / 64.0;
            }

            HuggingFaceTokenizer tokenizer = Load(Unigram(scores.Select(item => (item.Key, item.Value))));
            string text = Word(random, 9);
            double unknown = scores.Values.Min() - 10;
            double score = tokenizer.Encode(text).Tokens.Sum(token => scores.TryGetValue(token, out double value) ? value : unknown * token.EnumerateRunes().Count());
            Assert.Equal(Best(text, scores, unknown), score, 1e-9);
        }
    }

    [Theory]
    [InlineData("a", 125_000)]
    [InlineData("x", 1)]
    [InlineData("😀", 250_000)]
    [InlineData(" ", 250_000)]
    public void A_megabyte_of_one_letter_takes_as_long_as_it_is(string unit, int expected)
    {
        string text = string.Concat(Enumerable.Repeat(unit, 1_000_000 / unit.Length));
        HuggingFaceTokenizer tokenizer = Load(Unigram([("<unk>", 0), ("a", -2), ("aaaaaaaa", -4), (" ", -3), ("    ", -4), ("😀😀", -3)]));
        TokenizerEncoding encoding = tokenizer.Encode(text);
        Assert.Equal(expected, encoding.Count);
        Assert.Equal(text.Length, encoding.Offsets[^1].End.Value);
    }

    private static string Word(Random random, int length)
    {
        var word = new StringBuilder();
        for (int i = 0; i < length; i++)
        {
            word.Append(random.Next(4) switch { 0 => "a", 1 => "b", 2 => "😀", _ => "é" });
        }

        return word.ToString();
    }

    // Every way to cut the text.
    private static double Best(string text, Dictionary<string, double> scores, double unknown)
    {
        if (text.Length == 0)
        {
            return 0;
        }

        int first = char.IsHighSurrogate(text[0]) ? 2 : 1;
        double best = scores.ContainsKey(text[..first]) ? double.NegativeInfinity : unknown + Best(text[first..], scores, unknown);
        for (int length = first; length <= text.Length; length++)
        {
            if (scores.TryGetValue(text[..length], out double score))
            {
                best = Math.Max(best, score + Best(text[length..], scores, unknown));
            }
        }

        return best;
    }
}
