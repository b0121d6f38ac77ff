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
    [InlineData("'added_tokens': [{'id': 3, 'content': 'y'}, {'id': 1, 'content': 'z'}]", "'tokenizer.json': added_tokens[1] gives 'z' the id 1, which 'b' has. Give each token an id of its own.")]
    [InlineData("'added_tokens': [{'id': 3, 'content': 'y'}, {'id': 3, 'content': 'z'}]", "'tokenizer.json': added_tokens[1] gives 'z' the id 3, which 'y' has. Give each token an id of its own.")]
    [InlineData("'added_tokens': ['y']", "'tokenizer.json': added_tokens[0] should be an object, but is a string. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'normalizer': 'NFC'", "'tokenizer.json': normalizer should be an object, but is a string. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'normalizer': {'type': 'Sequence', 'normalizers': [7]}", "'tokenizer.json': normalizer.normalizers[0] should be an object, but is a number of another kind. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'pre_tokenizer': []", "'tokenizer.json': pre_tokenizer should be an object, but is an array. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'pre_tokenizer': {'type': 'Split', 'behavior': 'Isolated', 'pattern': 'x'}", "'tokenizer.json': pre_tokenizer.pattern should be an object, but is a string. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'post_processor': true", "'tokenizer.json': post_processor should be an object, but is true. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'decoder': 'ByteLevel'", "'tokenizer.json': decoder should be an object, but is a string. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'added_tokens': {'y': 3}", "'tokenizer.json': added_tokens should be an array, but is an object. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'normalizer': {'type': 'Prepend'}", "'tokenizer.json': normalizer lacks 'prepend'. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'pre_tokenizer': {'type': 'Metaspace', 'replacement': '_', 'prepend_scheme': 'first', 'add_prefix_space': false}", "'tokenizer.json': pre_tokenizer says add_prefix_space = false and prepend_scheme = 'first', which contradict each other. Remove one.")]
    public void What_is_malformed_is_named(string part, string message) =>
        Assert.Equal(message, Assert.Throws<InvalidDataException>(() => Load(Model, part)).Message);

    [Theory]
    [InlineData("0.1")]
    [InlineData("'some'")]
    public void Random_tokens_are_refused(string dropout) => Assert.Equal(
        $"'tokenizer.json': model has dropout {dropout.Replace('\'', '"')}, which makes tokens random. Set it to null.",
        Assert.Throws<NotSupportedException>(() => Load(Bpe(["a"], [], $"'dropout': {dropout},"))).Message);

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
    [InlineData("{'type': 'WordLevel', 'unk_token': 'u', 'vocab': {'u': 0, 'a': 1, 'b': 1}}", "model.vocab gives the id 1 to 'a' and to 'b', so that one would be read as the other. Give each token an id of its own.")]
    [InlineData("{'type': 'BPE', 'vocab': {'a': 2, 'b': 2}, 'merges': []}", "model.vocab gives the id 2 to 'a' and to 'b', so that one would be read as the other. Give each token an id of its own.")]
    [InlineData("{'type': 'WordLevel', 'unk_token': 'u', 'vocab': {'u': 0, 'a': 2000000000}}", "model.vocab holds 2 tokens and the id 2000000000. Copy or download the file again.")]
    [InlineData("{'type': 'BPE', 'vocab': {'a': 0, 'b': 1}}", "model lacks 'merges'. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("{'type': 'BPE', 'merges': []}", "model lacks 'vocab'. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("{'type': 'Unigram', 'unk_id': 0, 'vocab': [['u', 0.0], ['a', 1e999]]}", "model.vocab[1] has the score 1e999, which is no finite number. Copy or download the file again.")]
    [InlineData("'BPE'", "model should be an object, but is a string. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("'WordLevel'", "model should be an object, but is a string. Save the tokenizer again with Hugging Face tokenizers.")]
    [InlineData("{'type': 'WordLevel', 'unk_token': 'u', 'vocab': {'u': 1048600}}", "model.vocab holds 1 tokens and the id 1048600. Copy or download the file again.")]
    public void A_damaged_model_is_named(string model, string message) =>
        Assert.Equal($"'tokenizer.json': {message}", Assert.Throws<InvalidDataException>(() => Load(model)).Message);

    [Theory]
    [InlineData("{'type': 'BPE', 'dropout': {}, 'vocab': {'a': 0}, 'merges': []}", "model has dropout {}, which makes tokens random. Set it to null.")]
    [InlineData("{'type': 'BPE', 'dropout': 'x', 'vocab': {'a': 0}, 'merges': []}", "model has dropout \"x\", which makes tokens random. Set it to null.")]
    public void A_dropout_of_any_kind_is_named(string model, string message) =>
        Assert.Equal($"'tokenizer.json': {message}", Assert.Throws<NotSupportedException>(() => Load(model)).Message);

    [Theory]
    [InlineData("'normalizer': 'NFC'", "normalizer should be an object, but is a string.")]
    [InlineData("'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [5]}", "pre_tokenizer.pretokenizers[0] should be an object, but is a number of another kind.")]
    [InlineData("'added_tokens': [[]]", "added_tokens[0] should be an object, but is an array.")]
    [InlineData("'decoder': {'type': 'Replace', 'pattern': ' ', 'content': ''}", "decoder.pattern should be an object, but is a string.")]
    public void A_part_that_is_no_object_is_named(string part, string message) =>
        Assert.Equal($"'tokenizer.json': {message} Save the tokenizer again with Hugging Face tokenizers.", Assert.Throws<InvalidDataException>(() => Load(Model, part)).Message);

    [Theory]
    [InlineData("'added_tokens': [{'id': -1, 'content': 'y'}]", "added_tokens[0].id is the id -1; ids are whole numbers from 0.")]
    [InlineData("'post_processor': {'type': 'BertProcessing', 'cls': ['a', -3], 'sep': ['b', 1]}", "post_processor.cls[1] is the id -3; ids are whole numbers from 0.")]
    [InlineData("'post_processor': {'type': 'TemplateProcessing', 'single': [], 'pair': [], 'special_tokens': {'x': {'id': 'x', 'ids': [0, -2], 'tokens': ['a', 'b']}}}", "post_processor.special_tokens.x.ids[1] is the id -2; ids are whole numbers from 0.")]
    public void An_id_below_0_is_named(string part, string message) =>
        Assert.Equal($"'tokenizer.json': {message}", Assert.Throws<InvalidDataException>(() => Load(Model, part)).Message);

    [Theory]
    [InlineData("""{"model": {"vocab": {"\ud800": 0}}}""", "the text at byte 21 holds an unpaired surrogate")]
    [InlineData("""{"model": {"vocab": [["\udc00x", 0.0]]}}""", "the text at byte 22 holds an unpaired surrogate")]
    [InlineData("{\"mo\u00FFdel\": 1}", "byte 4 is not UTF-8")]
    public void Text_that_is_none_is_named(string json, string problem)
    {
        using var stream = new MemoryStream(System.Text.Encoding.Latin1.GetBytes(json));
        Assert.Equal($"'tokenizer.json' is not valid JSON: {problem}. Copy or download the file again.", Assert.Throws<InvalidDataException>(() => HuggingFaceTokenizer.FromStream(stream)).Message);
    }

    [Fact]
    public void Scattered_ids_make_no_table_of_their_range()
    {
        string json = "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1000000}}}";
        using var stream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(json));
        long before = GC.GetAllocatedBytesForCurrentThread();
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromStream(stream);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Equal([1000000], tokenizer.Encode("a").Ids);
        Assert.Equal("a", tokenizer.IdToToken(1000000));
        Assert.Null(tokenizer.IdToToken(999999));
        Assert.Equal("u", tokenizer.IdToToken(0));
    }

    [Fact]
    public void Ids_may_be_left_out_and_a_token_may_come_twice()
    {
        // As with Hugging Face: nothing is said of holes, the last of two equal names counts, and an added token that the model has keeps the model's id.
        HuggingFaceTokenizer tokenizer = Load("{'type': 'BPE', 'vocab': {'a': 7, 'b': 4, 'a': 1}, 'merges': []}", "'decoder': {'type': 'Fuse'}, 'added_tokens': [{'id': 4, 'content': 'a'}, {'id': 9, 'content': 'c'}, {'id': 9, 'content': 'c'}]");
        Assert.Equal([1, 4, 9], tokenizer.Encode("abc").Ids);
        Assert.Equal(["a", null, "b", null, "c"], new[] { 1, 2, 4, 7, 9 }.Select(tokenizer.IdToToken));
        Assert.Equal("abc", tokenizer.Decode([1, 0, 2, 4, 7, 9, 100]));
        Assert.Equal(3, tokenizer.VocabularySize);
    }

    [Fact]
    public void A_file_that_is_no_tokenizer_is_named()
    {
        Assert.Equal("'tokenizer.json': the file lacks 'model'. Save the tokenizer again with Hugging Face tokenizers.", Assert.Throws<InvalidDataException>(() => Read("{}")).Message);
        Assert.Equal("'tokenizer.json' should hold a JSON object, but holds an array.", Assert.Throws<InvalidDataException>(() => Read("[1]")).Message);
        Assert.StartsWith("'tokenizer.json' is not valid JSON: ", Assert.Throws<InvalidDataException>(() => Read("")).Message, StringComparison.Ordinal);

        static HuggingFaceTokenizer Read(string json)
        {
            using var stream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(json));
            return HuggingFaceTokenizer.FromStream(stream);
        }
    }

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
