using Lora.Llm.Tokenization;
using static Lora.Llm.Tests.Tokenization.TokenizerJsonText;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>Pre-tokenizers, seen through a model to which every word is unknown, and the WordLevel model itself.</summary>
public sealed class WordCuttingTests
{
    [Theory]
    [InlineData("Whitespace", "don't  stop_now, 3.5%!\n", "don|'|t|stop_now|,|3|.|5|%!")]
    [InlineData("Whitespace", "ⓐb🄰x a\u200Dy é\u0301 ²", "ⓐb🄰x|a\u200Dy|é\u0301|²")]
    [InlineData("Whitespace", "磨坊 😀😀a", "磨坊|😀😀|a")]
    [InlineData("Whitespace", " \u3000 ", "")]
    [InlineData("BertPreTokenizer", "don't stop_now, $3。😀", "don|'|t|stop|_|now|,|$|3|。|😀")]
    [InlineData("BertPreTokenizer", "a\u00A0b\u061Dc\u166Dd", "a|b\u061Dc|\u166D|d")]
    [InlineData("Punctuation", "a€b+c", "a€b|+|c")]
    [InlineData("CharDelimiterSplit', 'delimiter': '-", "a--b c-", "a|b c")]
    public void Cuts(string kind, string text, string expected)
    {
        TokenizerEncoding encoding = Load(WordLevel(["[UNK]"]), $"'pre_tokenizer': {{'type': '{kind}'}}").Encode(text);
        Assert.Equal(expected, string.Join('|', encoding.Offsets.Select(offset => text[offset])));
        Assert.All(encoding.Tokens, token => Assert.Equal("[UNK]", token));
    }

    [Theory]
    [InlineData("'prepend_scheme': 'always'", "a b</s>c</s> d", "▁a|▁b|</s>|▁c|</s>|▁d", "a b</s> c</s> d")]
    [InlineData("'prepend_scheme': 'first'", "a b</s>c</s> d", "▁a|▁b|</s>|c|</s>|▁d", "a b</s>c</s> d")]
    [InlineData("'prepend_scheme': 'first'", "</s>a", "</s>|a", "</s>a")]
    [InlineData("'prepend_scheme': 'never'", "a b</s>c", "a|▁b|</s>|c", "a b</s>c")]
    [InlineData("'add_prefix_space': true", "a b", "▁a|▁b", "a b")]
    [InlineData("'add_prefix_space': false", "a b", "a|▁b", "a b")]
    [InlineData("'prepend_scheme': 'always'", "  a", "▁|▁a", " a")]
    [InlineData("'prepend_scheme': 'always', 'split': false", "a b", "▁a▁b", "ab")]
    public void Metaspace_puts_a_mark_where_the_scheme_says(string options, string text, string tokens, string decoded)
    {
        string metaspace = $"{{'type': 'Metaspace', 'replacement': '▁', {options}}}";
        HuggingFaceTokenizer tokenizer = Load(
            Unigram([("<unk>", 0), ("▁a", -1), ("▁b", -1), ("▁c", -1), ("▁d", -1), ("a", -2), ("c", -2), ("▁", -3), ("▁a▁b", -1)]),
            $"'pre_tokenizer': {metaspace}, 'decoder': {metaspace}, 'added_tokens': [{{'id': 9, 'content': '</s>', 'special': true}}]");
        TokenizerEncoding encoding = tokenizer.Encode(text);
        Assert.Equal(tokens, string.Join('|', encoding.Tokens));
        Assert.Equal(encoding.Ids, tokenizer.EncodeToIds(text));
        Assert.Equal(decoded, tokenizer.Decode(encoding.Ids));
    }

    [Fact]
    public void A_closed_vocabulary_needs_no_unknown_token()
    {
        HuggingFaceTokenizer tokenizer = Load(WordLevel(["A", "C", "G", "T"], unknown: "<unk>"), "'pre_tokenizer': {'type': 'Whitespace'}");
        Assert.Equal([2, 0, 3], tokenizer.Encode("G A T").Ids);
        Assert.Equal("G A T", tokenizer.Decode([2, 0, 3]));
        var error = Assert.Throws<InvalidOperationException>(() => tokenizer.Encode("G N"));
        Assert.Equal(
            "The text holds 'N', which is not in the tokenizer's vocabulary, and its unk_token '<unk>' is not there either. Add '<unk>' to model.vocab, or leave such words out of the text.",
            error.Message);
    }

    [Fact]
    public void A_bpe_vocabulary_that_covers_the_text_needs_no_unknown_token()
    {
        HuggingFaceTokenizer tokenizer = Load(Bpe(["a", "b", "ab"], ["a b"], "'unk_token': '<unk>',"));
        Assert.Equal([2, 0], tokenizer.Encode("aba").Ids);
        var error = Assert.Throws<InvalidOperationException>(() => tokenizer.Encode("abN"));
        Assert.StartsWith("The text holds 'N', which is not in the tokenizer's vocabulary, and its unk_token '<unk>' is not there either.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_pattern_is_found_between_all_characters()
    {
        HuggingFaceTokenizer tokenizer = Load(Bpe(["a😀", "b"], []), "'decoder': {'type': 'Replace', 'pattern': {'String': ''}, 'content': '-'}");
        Assert.Equal("-a-😀--b-", tokenizer.Decode([0, 1]));
    }

    [Theory]
    [InlineData("{'unk_token': 'u', 'vocab': {'u': 0, 'ab': 1}}", 1)]
    [InlineData("{'unk_token': 'u', 'continuing_subword_prefix': '##', 'max_input_chars_per_word': 9, 'vocab': {'u': 0, 'a': 1, '##b': 2}}", 2)]
    [InlineData("{'unk_id': 0, 'vocab': [['u', 0.0], ['a', -1], ['b', -1]]}", 2)]
    public void Old_files_without_a_type_are_told_by_their_members(string model, int expected) => Assert.Equal(expected, Load(model).Encode("ab").Count);

    [Theory]
    [InlineData("a", 1)]
    [InlineData(" ", 0)]
    [InlineData("😀", 1)]
    [InlineData("a!", 1_000_000)]
    public void A_megabyte_of_one_thing_is_cut(string unit, int expected)
    {
        string text = string.Concat(Enumerable.Repeat(unit, 1_000_000 / unit.Length));
        Assert.Equal(expected, Load(WordLevel(["[UNK]"]), "'pre_tokenizer': {'type': 'Whitespace'}").CountTokens(text));
    }
}
