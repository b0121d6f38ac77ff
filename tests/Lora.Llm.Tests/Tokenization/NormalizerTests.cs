using Lora.Llm.Tokenization;
using static Lora.Llm.Tests.Tokenization.TokenizerJsonText;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>Normalizers, seen through a byte-level tokenizer that gives back what they made of a text.</summary>
public sealed class NormalizerTests
{
    [Theory]
    [InlineData("NFC", "e\u0301 e\u0327\u0301 e\u0301\u0327 \u212B \u1100\u1161\u11A8 \u0958", "é \u0229\u0301 \u0229\u0301 Å 각 \u0915\u093C")]
    [InlineData("NFD", "é Å 각 \u1E69 \uD834\uDD5E", "e\u0301 A\u030A \u1100\u1161\u11A8 s\u0323\u0307 \uD834\uDD57\uD834\uDD65")]
    [InlineData("NFKC", "ﬁ ① \uFF21 ｶﾞ ½ \uD835\uDCB3 …", "fi 1 A ガ 1\u20442 X ...")]
    [InlineData("NFKD", "ﬁé\uFDFA", "fie\u0301\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 \u0639\u0644\u064A\u0647 \u0648\u0633\u0644\u0645")]
    [InlineData("Lowercase", "ÀB\u0130Σ\U00010400", "àbi\u0307σ\U00010428")]
    [InlineData("StripAccents", "e\u0301\u0327x\u20DD", "ex")]
    [InlineData("Strip", " \u3000a b\n", "a b")]
    [InlineData("Nmt", "a\u0007\tb\u200B\uFEFF", "a b  ")]
    public void Gives(string kind, string text, string expected) => Assert.Equal(expected, Normalized($"{{'type': '{kind}'}}", text).Text);

    [Theory]
    [InlineData("'lowercase': true", "H\u00C9llo\u0007 \u4E2D\u6587\u2028x\u00AD\uFFFD\uE000\U000F0000\u0085\u000B", "hello  \u4E2D  \u6587  x")]
    [InlineData("'lowercase': true, 'strip_accents': false", "\u00C9 E\u0301", "\u00E9 e\u0301")]
    [InlineData("'lowercase': false, 'strip_accents': true", "\u00C9 E\u0301", "E E")]
    [InlineData("'lowercase': false, 'strip_accents': null", "\u00C9", "\u00C9")]
    [InlineData("'clean_text': false, 'lowercase': false", "a\u0007\t\u3000\u9FFF", "a\u0007\t\u3000 \u9FFF ")]
    [InlineData("'handle_chinese_chars': false, 'lowercase': false", "\u4E2D\u3000\U00020000", "\u4E2D \U00020000")]
    [InlineData("'lowercase': false", "\u3042\uAC00 \U00020000\uF900\U0002B820", "\u3042\uAC00  \U00020000  \uF900 \U0002B820")]
    public void Bert_gives(string options, string text, string expected) =>
        Assert.Equal(expected, Normalized($"{{'type': 'BertNormalizer', {options}}}", text).Text);

    [Fact]
    public void Bert_knows_characters_as_unicode_8_did()
    {
        // U+1885 was no mark yet, U+1734 still was one, and U+08E2 was not assigned.
        Assert.Equal("a\u1885b\u08E2", Normalized("{'type': 'BertNormalizer', 'lowercase': true}", "a\u1885\u1734b\u08E2").Text);
    }

    [Fact]
    public void Blanks_around_ideographs_count_as_the_ideograph() =>
        Assert.Equal([0..1, 0..1, 0..1, 0..1, 0..1, 1..2], Normalized("{'type': 'BertNormalizer', 'lowercase': true}", "\u4E2Da").Encoding.Offsets);

    [Fact]
    public void Results_point_to_the_characters_that_they_came_from()
    {
        // A composed letter counts as its base, as in the reference; all parts of a decomposed one count as the whole.
        Assert.Equal([0..1, 0..1, 2..3], Normalized("{'type': 'NFC'}", "e\u0301x").Encoding.Offsets);
        Assert.Equal([0..1, 0..1, 0..1, 1..2], Normalized("{'type': 'NFD'}", "éx").Encoding.Offsets);
        Assert.Equal([0..1, 2..3, 3..4], Normalized("{'type': 'Replace', 'pattern': {'Regex': ' +'}, 'content': '_'}", "a  b").Encoding.Offsets);
        Assert.Equal([0..1, 0..1, 1..2], Normalized("{'type': 'Prepend', 'prepend': '_'}", "ab").Encoding.Offsets);
    }

    private static (string Text, TokenizerEncoding Encoding) Normalized(string normalizer, string text)
    {
        HuggingFaceTokenizer tokenizer = Load(
            Bpe(Bytes, []),
            $"'normalizer': {normalizer}, 'pre_tokenizer': {{'type': 'ByteLevel', 'add_prefix_space': false}}, 'decoder': {{'type': 'ByteLevel'}}");
        TokenizerEncoding encoding = tokenizer.Encode(text);
        return (tokenizer.Decode(encoding.Ids), encoding);
    }
}
