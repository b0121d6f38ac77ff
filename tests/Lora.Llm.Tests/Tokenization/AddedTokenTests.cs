using Lora.Llm.Tokenization;
using static Lora.Llm.Tests.Tokenization.TokenizerJsonText;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>How added tokens are found in a text.</summary>
public sealed class AddedTokenTests
{
    private static readonly string Model = Bpe(["a", "b", " ", "x", "M"], []);

    [Fact]
    public void The_longest_of_those_that_start_together_wins() =>
        Assert.Equal(["a", "<s>x", "b", "<s>"], Tokens("a<s>xb<s>", "{'id': 5, 'content': '<s>'}, {'id': 6, 'content': '<s>x'}"));

    [Fact]
    public void White_space_is_taken_along_where_asked() =>
        Assert.Equal(["a", "  M ", "b"], Tokens("a  M b", "{'id': 4, 'content': 'M', 'lstrip': true, 'rstrip': true}"));

    [Theory]
    [InlineData("aM b", "a|M | |b")]
    [InlineData("M  b", "M  | | |b")]
    [InlineData("M", "M")]
    public void White_space_that_was_taken_along_is_still_found_as_a_token(string text, string expected) =>
        Assert.Equal(expected.Split('|'), Tokens(text, "{'id': 4, 'content': 'M', 'rstrip': true}, {'id': 2, 'content': ' '}"));

    [Fact]
    public void A_single_word_is_not_found_inside_words() =>
        Assert.Equal(["x", "M", "x", " ", "M"], Tokens("xMx M", "{'id': 4, 'content': 'M', 'single_word': true}"));

    [Fact]
    public void A_normalized_token_is_looked_for_after_normalization()
    {
        HuggingFaceTokenizer tokenizer = Load(
            Model, "'normalizer': {'type': 'Lowercase'}, 'added_tokens': [{'id': 7, 'content': 'YES', 'normalized': true}]");
        TokenizerEncoding encoding = tokenizer.Encode("a yEs");
        Assert.Equal([0, 2, 7], encoding.Ids);
        Assert.Equal(2..5, encoding.Offsets[2]);
        Assert.Equal(6, tokenizer.VocabularySize);
        Assert.Equal("YES", tokenizer.IdToToken(7));
    }

    [Fact]
    public void Special_tokens_can_be_left_out_of_the_text()
    {
        HuggingFaceTokenizer tokenizer = Load(Model, "'decoder': {'type': 'Fuse'}, 'added_tokens': [{'id': 5, 'content': '<s>', 'special': true}]");
        Assert.Equal("<s>a", tokenizer.Decode([5, 0]));
        Assert.Equal("a", tokenizer.Decode([5, 0, 99, -1], skipSpecialTokens: true));
    }

    private static IReadOnlyList<string> Tokens(string text, string added) => Load(Model, $"'added_tokens': [{added}]").Encode(text).Tokens;
}
