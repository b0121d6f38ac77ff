using Lora.Llm.Tokenization;
using static Lora.Llm.Tests.Tokenization.TokenizerJsonText;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>WordPiece: the longest piece from the left, whole words or nothing, and the way back.</summary>
public sealed class WordPieceTests
{
    private const string Split = "'pre_tokenizer': {'type': 'WhitespaceSplit'}";

    private static readonly string[] Pieces = ["[UNK]", "un", "##aff", "##able", "a", "##a", "##aa", "😀", "##😀", "unaffa"];

    [Theory]
    [InlineData("unaff unable", "un ##aff un ##able")]
    [InlineData("unaffable", "[UNK]")]
    [InlineData("unaffa a", "unaffa a")]
    [InlineData("unaffaxable a", "[UNK] a")]
    [InlineData("able", "[UNK]")]
    [InlineData("##aff", "##aff")]
    [InlineData("aaaa", "a ##aa ##a")]
    [InlineData("a😀 😀a", "a ##😀 😀 ##a")]
    public void Takes_the_longest_piece_each_time(string text, string expected) =>
        Assert.Equal(expected, string.Join(' ', Load(WordPiece(Pieces), Split).Encode(text).Tokens));

    [Fact]
    public void Tokens_lie_where_their_letters_are()
    {
        TokenizerEncoding encoding = Load(WordPiece(Pieces), Split).Encode(" a😀a  xa");
        Assert.Equal([1..2, 2..4, 4..5, 7..9], encoding.Offsets);
        Assert.Equal([4, 8, 5, 0], encoding.Ids);
    }

    [Fact]
    public void A_word_longer_than_the_limit_is_unknown_and_length_counts_code_points()
    {
        HuggingFaceTokenizer tokenizer = Load(WordPiece(Pieces, longestWord: 3), Split);
        Assert.Equal(["a", "##😀", "##😀", "[UNK]"], tokenizer.Encode("a😀😀 a😀😀a").Tokens);
        Assert.Equal(0, tokenizer.UnknownId);
    }

    [Fact]
    public void Continuations_may_have_no_prefix_or_another_one()
    {
        Assert.Equal(["a", "un"], Load(WordPiece(Pieces, prefix: ""), Split).Encode("aun").Tokens);
        Assert.Equal(["a", "@b"], Load(WordPiece(["[UNK]", "a", "@b"], prefix: "@"), Split).Encode("ab").Tokens);
    }

    [Fact]
    public void A_vocabulary_without_its_unknown_token_serves_until_that_is_needed()
    {
        HuggingFaceTokenizer tokenizer = Load(WordPiece(["a", "##b"]), Split);
        Assert.Equal([0, 1], tokenizer.Encode("ab").Ids);
        Assert.Null(tokenizer.UnknownId);
        var error = Assert.Throws<InvalidOperationException>(() => tokenizer.Encode("ab " + new string('c', 50)));
        Assert.Equal(
            $"The text holds '{new string('c', 40)}…', which is not in the tokenizer's vocabulary, and its unk_token '[UNK]' is not there either. Add '[UNK]' to model.vocab, or leave such words out of the text.",
            error.Message);
    }

    [Theory]
    [InlineData("true", "Un##aff do not isn't a, b! c? .d it's I'm they've we're")]
    [InlineData("false", "Un##aff do not is n't a , b ! c ? .d it 's I 'm they 've we 're")]
    public void Decoding_joins_words_and_cleans_where_asked(string cleans, string expected)
    {
        string[] tokens = ["Un##aff", "do", "not", "is", "n't", "a", ",", "b", "!", "c", "?", ".d", "it", "'s", "I", "'m", "they", "'ve", "we", "'re"];
        HuggingFaceTokenizer tokenizer = Load(WordPiece(tokens, unknown: "a"), $"'decoder': {{'type': 'WordPiece', 'prefix': '##', 'cleanup': {cleans}}}");

        // A token is cleaned by itself: "do not" is two of them and stays, ".d" loses its blank.
        Assert.Equal(cleans == "true" ? expected.Replace(" .d", ".d", StringComparison.Ordinal) : expected, tokenizer.Decode(Enumerable.Range(0, tokens.Length)));
    }

    [Fact]
    public void Decoding_leaves_the_prefix_of_the_first_token() =>
        Assert.Equal("##affable", Load(WordPiece(Pieces), "'decoder': {'type': 'WordPiece', 'prefix': '##', 'cleanup': false}").Decode([2, 3]));

    [Fact]
    public void Pairs_have_types_and_are_cut_from_the_longer_side()
    {
        HuggingFaceTokenizer tokenizer = Load(
            WordPiece(["[UNK]", "[CLS]", "[SEP]", "a", "b"]), Split + ", 'post_processor': {'type': 'BertProcessing', 'cls': ['[CLS]', 1], 'sep': ['[SEP]', 2]}");
        TokenizerEncoding whole = tokenizer.Encode("a a", "b b b b");
        Assert.Equal([1, 3, 3, 2, 4, 4, 4, 4, 2], whole.Ids);
        Assert.Equal([0, 0, 0, 0, 1, 1, 1, 1, 1], whole.TypeIds);
        Assert.Equal([1, 3, 3, 2, 4, 4, 4, 2], tokenizer.Encode("a a", "b b b b", maxLength: 8).Ids);
        Assert.Equal([1, 4, 4, 4, 2, 3, 3, 2], tokenizer.Encode("b b b b", "a a", maxLength: 8).Ids);
        Assert.Equal([1, 3, 2, 4, 4, 2], tokenizer.Encode("a a", "b b b b", maxLength: 6).Ids);
        Assert.Equal([1, 2, 2], tokenizer.Encode("a a", "b b b b", maxLength: 3).Ids);
        Assert.Throws<ArgumentOutOfRangeException>("maxLength", () => tokenizer.Encode("a", "b", maxLength: 2));
    }

    [Theory]
    [InlineData("a")]
    [InlineData("😀")]
    public void A_megabyte_of_one_letter_takes_as_long_as_it_is(string unit)
    {
        string text = string.Concat(Enumerable.Repeat(unit, 1_000_000 / unit.Length));
        Assert.Equal([0], Load(WordPiece(Pieces), Split).EncodeToIds(text));
        Assert.Equal(unit == "a" ? 500_001 : 500_000, Load(WordPiece(Pieces, longestWord: int.MaxValue), Split).CountTokens(text));
    }

    [Theory]
    [InlineData(" ")]
    [InlineData("a ")]
    [InlineData("磨")]
    [InlineData("😀!")]
    [InlineData("e\u0301\u0327")]
    public void A_megabyte_of_one_thing_passes_berts_stages(string unit)
    {
        const string Bert = "'normalizer': {'type': 'BertNormalizer', 'lowercase': true}, 'pre_tokenizer': {'type': 'BertPreTokenizer'}";
        int count = 1_000_000 / unit.Length;
        int expected = unit switch { " " => 0, "😀!" => 2 * count, "e\u0301\u0327" => 1, _ => count };
        Assert.Equal(expected, Load(WordPiece(Pieces), Bert).CountTokens(string.Concat(Enumerable.Repeat(unit, count))));
    }
}
