using Lora.Llm.Tokenization;
using static Lora.Llm.Tests.Tokenization.TokenizerJsonText;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>What is wrong with a file is said with the file's name, the place, what was found and what to do.</summary>
public sealed class TokenizerErrorTests
{
    private static readonly string Model = Bpe(["a", "b", "ab"], ["a b"]);

    [Fact]
    public void A_missing_file_is_named()
    {
        var error = Assert.Throws<FileNotFoundException>(() => HuggingFaceTokenizer.FromFile("nowhere/tokenizer.json"));
        Assert.Equal("There is no tokenizer file 'nowhere/tokenizer.json'. Pass the path of a tokenizer.json.", error.Message);
    }

    [Fact]
    public void A_folder_without_a_tokenizer_says_how_to_get_one()
    {
        string folder = Directory.CreateTempSubdirectory("lora-tokenizer-").FullName;
        try
        {
            var error = Assert.Throws<FileNotFoundException>(() => HuggingFaceTokenizer.FromFolder(folder));
            Assert.Equal($"The folder '{folder}' holds no tokenizer.json. In Python, AutoTokenizer.from_pretrained(…).save_pretrained(…) writes one from other files.", error.Message);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Broken_json_names_the_file()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "{\"model\": ");
            var error = Assert.Throws<InvalidDataException>(() => HuggingFaceTokenizer.FromFile(path));
            Assert.StartsWith($"'{path}' is not valid JSON: ", error.Message, StringComparison.Ordinal);
            Assert.EndsWith("Copy or download the file again.", error.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("'normalizer': {'type': 'Precompiled'}", "'tokenizer.json': normalizer is of kind 'Precompiled', which is not supported. Supported are: BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Prepend, Replace, Sequence, Strip, StripAccents.")]
    [InlineData("'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [{'type': 'Digits'}, {'type': 'UnicodeScripts'}]}", "'tokenizer.json': pre_tokenizer.pretokenizers[1] is of kind 'UnicodeScripts', which is not supported. Supported are: BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, Sequence, Split, Whitespace, WhitespaceSplit.")]
    [InlineData("'decoder': {'type': 'CTC'}", "'tokenizer.json': decoder is of kind 'CTC', which is not supported. Supported are: BPEDecoder, ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip, WordPiece.")]
    [InlineData("'pre_tokenizer': {'type': 'Split', 'behavior': 'Isolated', 'pattern': {'Regex': '[a[bc]]'}}", "'tokenizer.json': pre_tokenizer.pattern.Regex '[a[bc]]' holds a class inside a class, which this reader does not translate.")]
    [InlineData("'post_processor': {'type': 'Sequence', 'processors': [{'type': 'ByteLevel'}, {'type': 'BertProcessing', 'cls': ['a', 0], 'sep': ['b', 1]}, {'type': 'RobertaProcessing', 'cls': ['a', 0], 'sep': ['b', 1]}]}", "'tokenizer.json': post_processor holds more than one of BertProcessing, RobertaProcessing and TemplateProcessing, which is not supported: their special tokens would go inside each other.")]
    public void What_is_not_supported_is_named(string part, string message) =>
        Assert.Equal(message, Assert.Throws<NotSupportedException>(() => Load(Model, part)).Message);

    [Theory]
    [InlineData("'added_tokens': [{'id': 'x', 'content': 'y'}]", "'tokenizer.json': added_tokens[0].id should be a 32-bit integer, but is a string. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'normalizer': {'type': 'Prepend'}", "'tokenizer.json': normalizer lacks 'prepend'. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'pre_tokenizer': {'type': 'Metaspace', 'replacement': '_', 'prepend_scheme': 'first', 'add_prefix_space': false}", "'tokenizer.json': pre_tokenizer says add_prefix_space = false and prepend_scheme = 'first', which contradict each other. Remove one.")]
    public void What_is_malformed_is_named(string part, string message) =>
        Assert.Equal(message, Assert.Throws<InvalidDataException>(() => Load(Model, part)).Message);

    [Fact]
    public void A_merge_of_an_unknown_token_is_named()
    {
        var error = Assert.Throws<InvalidDataException>(() => Load(Bpe(["a", "b"], ["a b"])));
        Assert.Equal("'tokenizer.json': model.merges[0] needs the token 'ab', which model.vocab does not hold. Save the tokenizer again with Hugging Face tokenizers.", error.Message);
    }

    [Fact]
    public void An_unsupported_model_is_named()
    {
        var error = Assert.Throws<NotSupportedException>(() => Load("{'type': 'Unknown'}"));
        Assert.Equal("'tokenizer.json': model is of kind 'Unknown', which is not supported. Supported are: BPE, Unigram, WordLevel, WordPiece.", error.Message);
    }

    [Theory]
    [InlineData("{'type': 'WordPiece', 'unk_token': 'u', 'continuing_subword_prefix': '##', 'max_input_chars_per_word': -1, 'vocab': {'u': 0}}", "model has max_input_chars_per_word -1; it should be a whole number from 0.")]
    [InlineData("{'type': 'WordPiece', 'unk_token': 'u', 'max_input_chars_per_word': 9, 'vocab': {'u': 0}}", "model lacks 'continuing_subword_prefix'. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("{'type': 'WordLevel', 'unk_token': 'u', 'vocab': {'u': -2}}", "model.vocab gives the token 'u' the id -2; ids are whole numbers from 0.")]
    [InlineData("{'type': 'WordLevel', 'unk_token': 'u', 'vocab': ['u']}", "model.vocab should be an object, but is an array. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("{'type': 'Unigram', 'unk_id': 2, 'vocab': [['u', 0.0], ['a', -1.5]]}", "model has unk_id 2, but its vocab holds 2 pieces. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("{'type': 'Unigram', 'unk_id': -1, 'vocab': [['u', 0.0]]}", "model has unk_id -1, but its vocab holds 1 pieces. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("{'type': 'Unigram', 'unk_id': 0, 'vocab': [['u', 0.0], ['a']]}", "model.vocab[1] should be [piece, score], but is an array. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("{'type': 'WordLevel', 'unk_token': 'u', 'vocab': {'\\ud800': 0}}", "model.vocab holds a name that is no valid Unicode text. Copy or download the file again.")]
    [InlineData("{'type': 'Unigram', 'unk_id': 0, 'vocab': [['\\ud800', 0.0]]}", "model.vocab[0] holds no valid Unicode text. Copy or download the file again.")]
    public void A_damaged_model_is_named(string model, string message) =>
        Assert.Equal($"'tokenizer.json': {message}", Assert.Throws<InvalidDataException>(() => Load(model)).Message);

    [Fact]
    public void A_limit_below_the_special_tokens_is_refused()
    {
        HuggingFaceTokenizer tokenizer = Load(Model, "'post_processor': {'type': 'BertProcessing', 'cls': ['a', 0], 'sep': ['b', 1]}");
        Assert.Equal([0, 2, 1], tokenizer.Encode("abab", maxLength: 3).Ids);
        Assert.Throws<ArgumentOutOfRangeException>("maxLength", () => tokenizer.Encode("ab", maxLength: 1));
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.EncodeToIds("ab", 1, out _, out _));
        Assert.StartsWith("At least 2 tokens are needed: the tokenizer adds 2 special tokens to every text.", error.Message, StringComparison.Ordinal);
    }
}
