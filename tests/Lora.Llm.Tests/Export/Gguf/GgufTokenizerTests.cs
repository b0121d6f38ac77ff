using System.Text.Json.Nodes;
using Lora.Export.Gguf;
using Lora.Llm.Export;
using Lora.Tests;
using Lora.Tests.Golden;

namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>Tokenizers in GGUF files: by llama.cpp's rules they give the ids that the folder's own gives.</summary>
public sealed class GgufTokenizerTests : IDisposable
{
    private static readonly string[] _texts =
    [
        "Once upon a time, there was a little girl named Lily.", "hello  world", " leading and trailing ", "It's 12345 o'clock; we'll see!\n\n  Next line\tand tab", "Zoë ging naar café №7 — 日本語 🙂 ﬁn", "", "a", "   ",
        "aaaaaaaaaaaa bbbb the there then", "Don't DON'T x=3.14159;",
    ];

    private readonly TemporaryFolder _folder = new();

    public static IEnumerable<TheoryDataRow<string>> Cases => GoldenFolder.Cases('F').Where(name => File.Exists(GoldenFolder.PathOf(name, "tokenizer.json"))).Select(name => new TheoryDataRow<string>(name));

    public void Dispose() => _folder.Dispose();

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    [Trait("Golden", "F")]
    public void Ids_by_the_rules_of_the_file_are_the_tokenizers(string name)
    {
        Make(File.ReadAllText(GoldenFolder.PathOf(name, "tokenizer.json")), 900);
        JsonNode json = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder["model"], "tokenizer.json")))!;
        string type = (string)json["model"]!["type"]!;
        if (type != "BPE")
        {
            AdapterFormatException exception = Assert.Throws<AdapterFormatException>(() => Export());
            Assert.Equal($"model.type is \"{type}\", but llama.cpp's models of these families have \"BPE\".", Assert.Single(exception.Problems));
            Assert.Equal(["model"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName));
            return;
        }
        PlainGguf file = Export();
        Compare(file);
        string[] tokens = [.. ((object[])file.Values["tokenizer.ggml.tokens"]).Cast<string>()];
        int[] types = [.. ((object[])file.Values["tokenizer.ggml.token_type"]).Cast<int>()];
        Assert.Equal(900, tokens.Length);
        Assert.Equal(900, types.Length);
        foreach ((string token, JsonNode? id) in json["model"]!["vocab"]!.AsObject()) Assert.Equal(token, tokens[(int)id!]);
        foreach (JsonNode? added in json["added_tokens"]!.AsArray())
        {
            Assert.Equal((string)added!["content"]!, tokens[(int)added["id"]!]);
            bool isUnknown = (string)file.Values["tokenizer.ggml.model"] == "llama" && (string)added["content"]! == "<unk>";
            Assert.Equal(isUnknown ? 2 : (bool)added["special"]! ? 3 : 4, types[(int)added["id"]!]);
        }
        Assert.Equal(types.Count(kind => kind == 5), tokens.Count(token => token.StartsWith("[PAD", StringComparison.Ordinal)));
        Assert.Contains(5, types);
        if ((string)file.Values["tokenizer.ggml.model"] == "llama") Assert.Equal(256, types.Count(kind => kind == 6));
    }

    [Fact]
    public void Stories_are_tokenized_as_before()
    {
        string stories = Path.Combine(RepositoryFolder.Root, "..", "shared", "data", "stories260k");
        if (!Directory.Exists(stories)) Assert.Skip("../shared/data/stories260k is not there.");
        GgufExportResult result = GgufModelExport.Run(stories, _folder["out.gguf"], new GgufModelOptions { Type = GgufType.Q80 }, cancellationToken: TestContext.Current.CancellationToken);
        var file = new PlainGguf(_folder["out.gguf"]);
        var tokenizer = HuggingFaceTokenizer.FromFolder(stories);
        var plain = new PlainTokenizer(file);
        foreach (string text in _texts.Where(text => text.Length > 0)) Assert.Equal(tokenizer.Encode(text).Ids, plain.Encode(text));
        Assert.Equal("llama", file.Values["tokenizer.ggml.model"]);
        Assert.Equal(1u, file.Values["tokenizer.ggml.bos_token_id"]);
        Assert.Equal(2u, file.Values["tokenizer.ggml.eos_token_id"]);
        Assert.Equal("stories260k", file.Values["general.name"]);
        Assert.Equal(7u, file.Values["general.file_type"]);
        Assert.Equal(5u, file.Values["llama.block_count"]);
        Assert.Equal(64u, file.Values["llama.embedding_length"]);
        Assert.Equal(4u, file.Values["llama.attention.head_count_kv"]);
        // 172 is no multiple of 32.
        Assert.Equal([.. Enumerable.Range(0, 5).Select(layer => $"blk.{layer}.ffn_down.weight is F16, since its rows hold 172 numbers, no multiple of 32")], result.Remarks);
    }

    [Theory]
    [InlineData("""{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}""", null,
        "its pre_tokenizer (Split, ByteLevel) is none of those that llama.cpp knows and that are known here: gpt-2, llama-bpe, qwen2, smollm and tekken.")]
    [InlineData("""{"type":"ByteLevel","add_prefix_space":true,"use_regex":true}""", null,
        "its pre_tokenizer (ByteLevel) is none of those that llama.cpp knows and that are known here: gpt-2, llama-bpe, qwen2, smollm and tekken.")]
    [InlineData("""{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}""", """{"type":"Lowercase"}""", "normalizer \"Lowercase\" is one that llama.cpp's byte-level BPE does not have.")]
    [InlineData("""{"type":"Whitespace"}""", null, "it is neither byte-level BPE nor SentencePiece's BPE with byte_fallback, which are what llama.cpp has.")]
    public void Other_tokenizers_are_refused(string preTokenizer, string? normalizer, string problem)
    {
        Make($$"""{"version":"1.0","added_tokens":[],"normalizer":{{normalizer ?? "null"}},"pre_tokenizer":{{preTokenizer}},"post_processor":null,"decoder":null,"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]} }""", 37);
        AdapterFormatException exception = Assert.Throws<AdapterFormatException>(() => Export());
        Assert.Equal(problem, Assert.Single(exception.Problems));
        Assert.Equal(Path.Combine(_folder["model"], "tokenizer.json"), exception.Path);
    }

    [Fact]
    public void Tokens_beyond_the_models_vocabulary_are_refused()
    {
        Make("""{"version":"1.0","added_tokens":[{"id":41,"content":"<x>","special":true},{"id":39,"content":"<y>","special":true}],"normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},"post_processor":null,"decoder":null,"model":{"type":"BPE","vocab":{"a":0},"merges":[]} }""", 37);
        Assert.Equal("2 tokens, up to id 41 ('<x>'), are beyond the model's vocabulary of 37 (vocab_size).", Assert.Single(Assert.Throws<AdapterFormatException>(() => Export()).Problems));
    }

    [Theory]
    [InlineData("\"{{ messages }}\"", null, "{{ messages }}", new string[0])]
    [InlineData("\"{{ messages }}\"", "{{ alone }}", "{{ alone }}", new string[0])]
    [InlineData("""[{"name":"default","template":"{{ usual }}"},{"name":"tool_use","template":"{{ tools }}"}]""", null, "{{ usual }}", new[] { "tool_use" })]
    public void Chat_templates_are_written(string config, string? file, string expected, string[] others)
    {
        Make("""{"version":"1.0","added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},"post_processor":null,"decoder":null,"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]} }""", 37);
        File.WriteAllText(Path.Combine(_folder["model"], "tokenizer_config.json"), $$"""{"chat_template":{{config}},"eos_token":"b"}""");
        if (file is not null) File.WriteAllText(Path.Combine(_folder["model"], "chat_template.jinja"), file);
        PlainGguf written = Export();
        Assert.Equal(expected, written.Values["tokenizer.chat_template"]);
        Assert.Equal(others, written.Values.TryGetValue("tokenizer.chat_templates", out object? names) ? [.. ((object[])names).Cast<string>()] : []);
        foreach (string name in others) Assert.Equal("{{ tools }}", written.Values[$"tokenizer.chat_template.{name}"]);
        Assert.Equal(1u, written.Values["tokenizer.ggml.eos_token_id"]);
        Assert.Equal(false, written.Values["tokenizer.ggml.add_bos_token"]);
    }

    private void Make(string tokenizer, int vocabulary)
    {
        GgufFolders.Make("llama", _folder["model"], vocabulary: vocabulary);
        File.WriteAllText(Path.Combine(_folder["model"], "tokenizer.json"), tokenizer);
    }

    private PlainGguf Export()
    {
        GgufModelExport.Run(_folder["model"], _folder["out.gguf"], cancellationToken: TestContext.Current.CancellationToken);
        return new PlainGguf(_folder["out.gguf"]);
    }

    private void Compare(PlainGguf file)
    {
        var tokenizer = HuggingFaceTokenizer.FromFolder(_folder["model"]);
        var plain = new PlainTokenizer(file);
        foreach (string text in _texts.Where(text => text.Length > 0)) Assert.Equal(tokenizer.Encode(text).Ids, plain.Encode(text));
    }
}
