using Lora.Tests;
using static Lora.Llm.Tests.Tokenization.TokenizerJsonText;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>A damaged file can ask for steps without end; they are given up and named.</summary>
public sealed class RunawayTests
{
    private static readonly string Model = Bpe(["a", "b", "ab"], ["a b"]);

    private static string Many(string part, int times) => string.Join(", ", Enumerable.Repeat(part, times));

    [Fact]
    public void Steps_that_double_a_text_are_given_up()
    {
        HuggingFaceTokenizer tokenizer = Load(Model, $"'pre_tokenizer': {{'type': 'Sequence', 'pretokenizers': [{Many("{'type': 'ByteLevel', 'add_prefix_space': false, 'use_regex': false}", 40)}]}}");
        Assert.Equal([2, 0], tokenizer.Encode("aba").Ids);
        Assert.Equal(
            "The tokenizer makes more than 4608 characters of a text of 2: steps of its normalizer or pre_tokenizer come again and again. Take them out of the file.",
            Assert.ThrowsAny<InvalidOperationException>(() => tokenizer.Encode("éa")).Message);
    }

    [Fact]
    public void Steps_that_double_tokens_are_given_up()
    {
        HuggingFaceTokenizer tokenizer = Load(Model, $"'decoder': {{'type': 'Sequence', 'decoders': [{Many("{'type': 'Replace', 'pattern': {'String': 'a'}, 'content': 'aa'}", 40)}]}}");
        Assert.Equal("b", tokenizer.Decode([1]));
        Assert.Equal(
            "The tokenizer makes more than 4352 characters of tokens of 1: steps of its decoder come again and again. Take them out of the file.",
            Assert.ThrowsAny<InvalidOperationException>(() => tokenizer.Decode([0])).Message);
    }

    [Fact]
    public void Added_tokens_that_cannot_be_normalized_are_named_with_the_file() => Assert.Equal(
        "'tokenizer.json': added_tokens cannot be normalized: The tokenizer makes more than 4352 characters of a text of 1: steps of its normalizer or pre_tokenizer come again and again. Take them out of the file.",
        Assert.Throws<InvalidDataException>(() => Load(
            Model, $"'added_tokens': [{{'id': 7, 'content': 'a', 'normalized': true}}], 'normalizer': {{'type': 'Sequence', 'normalizers': [{Many("{'type': 'Replace', 'pattern': {'String': 'a'}, 'content': 'aa'}", 40)}]}}")).Message);

    [Fact]
    public void A_pattern_without_end_is_given_up()
    {
        HuggingFaceTokenizer tokenizer = Load(Model, "'pre_tokenizer': {'type': 'Split', 'behavior': 'Isolated', 'pattern': {'Regex': '(a+)+$'}}");
        Assert.Equal([0], tokenizer.Encode("a").Ids);
        Assert.Equal(
            "The tokenizer's pattern '(a+)+$' was given up after 2 s on a text of 41 characters. Nested repetitions such as (a+)+ cause this: write it without them.",
            Assert.ThrowsAny<InvalidOperationException>(() => tokenizer.Encode($"{new string('a', 40)}b")).Message);
    }

    [Fact]
    public void Unicode_forms_and_bytes_are_not_taken_for_that()
    {
        HuggingFaceTokenizer tokenizer = Load(Bpe([.. Bytes], []), "'normalizer': {'type': 'NFKD'}, 'pre_tokenizer': {'type': 'ByteLevel', 'add_prefix_space': false}, 'decoder': {'type': 'ByteLevel'}");
        const string spelled = "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 \u0639\u0644\u064A\u0647 \u0648\u0633\u0644\u0645";
        Assert.Equal(string.Concat(Enumerable.Repeat(spelled, 1000)), tokenizer.Decode(tokenizer.Encode(new string('\uFDFA', 1000)).Ids));
    }
}
