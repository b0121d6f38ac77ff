using System.Text;
using Lora.Tests;

namespace Lora.Llm.Tests.Data;

public sealed class JsonlDatasetTests
{
    private const int Ignored = TrainingExample.IgnoredLabel;

    [Fact]
    public void The_completion_is_learned_and_the_prompt_is_not()
    {
        JsonlDataset data = TinyData.Read(null, """{"prompt": "abc", "completion": "de"}""");
        TrainingExample example = Assert.Single(data.Examples);
        Assert.Equal([0, TinyData.BC, 3, 4], example.InputIds);
        Assert.Equal([Ignored, Ignored, 3, 4], example.Labels);
        Assert.Equal(2, example.LearnedTokens);
        Assert.Equal(new JsonlRecord("abc", "de"), Assert.Single(data.Records));
        Assert.Equal(0, data.Skipped);
    }

    [Fact]
    public void A_token_across_the_border_belongs_to_the_completion()
    {
        TrainingExample example = TinyData.Read(null, """{"prompt": "ab", "completion": "ca"}""").Examples[0];
        Assert.Equal([0, TinyData.BC, 0], example.InputIds);
        Assert.Equal([Ignored, TinyData.BC, 0], example.Labels);
    }

    [Theory]
    [InlineData("""{"prompt": "ab", "completion": "d"}""", true)]
    [InlineData("""{"text": "abd"}""", false)]
    [InlineData("""{"prompt": "", "completion": "abd", "text": "not this"}""", false)]
    public void Texts_and_prompts_on_demand_are_learned_whole(string line, bool onPrompt)
    {
        TrainingExample example = TinyData.Read(new JsonlOptions { TrainOnPrompt = onPrompt }, line).Examples[0];
        Assert.Equal([0, 1, 3], example.InputIds);
        Assert.Equal([0, 1, 3], example.Labels);
        Assert.Equal(2, example.LearnedTokens); // nothing predicts the first
    }

    [Fact]
    public void The_end_token_is_learned_and_not_doubled()
    {
        JsonlDataset data = TinyData.Read(new JsonlOptions { EndTokenId = 28 }, """{"prompt": "a", "completion": "d"}""", """{"prompt": "a", "completion": "d."}""", """{"prompt": "a", "completion": ""}""");
        Assert.All(data.Examples.Take(2), example => Assert.Equal([0, 3, 28], example.InputIds));
        Assert.Equal([Ignored, 3, 28], data.Examples[0].Labels);
        Assert.Equal([Ignored, 28], data.Examples[2].Labels);
    }

    [Fact]
    public void Long_examples_lose_their_end_and_those_with_nothing_to_learn_are_counted()
    {
        JsonlDataset data = TinyData.Read(
            new JsonlOptions { MaxLength = 3, EndTokenId = 28 }, """{"prompt": "a", "completion": "defg"}""", """{"prompt": "aaaa", "completion": "d"}""", """{"prompt": "aa", "completion": "d"}""");
        Assert.Equal([[0, 3, 4], [0, 0, 3]], data.Examples.Select(example => example.InputIds));
        Assert.Equal(1, data.Skipped);
        Assert.Equal(["defg", "d"], data.Records.Select(record => record.Completion));
    }

    [Fact]
    public void Reading_stops_at_the_largest_number_of_examples()
    {
        JsonlDataset data = TinyData.Read(new JsonlOptions { MaxExamples = 2 }, """{"text": "ab"}""", """{"text": "a"}""", """{"text": "de"}""", "not reached");
        Assert.Equal(["ab", "de"], data.Records.Select(record => record.Completion));
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    public void Line_ends_empty_lines_and_a_byte_order_mark_do_not_matter(string end)
    {
        byte[] file = [.. Encoding.UTF8.Preamble, .. Encoding.UTF8.GetBytes(string.Join(end, """{"text": "ab"}""", "", "  ", """{"text": "de"}""", ""))];
        JsonlDataset data = TinyData.Read(file);
        Assert.Equal(["ab", "de"], data.Records.Select(record => record.Completion));
    }

    [Theory]
    [InlineData("{\"text\": \"a\"", ", byte 13: no valid JSON: Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be closed.")]
    [InlineData("[", ", byte 2: no valid JSON: it begins a JSON text of several lines, but each line must be an object of its own (JSON Lines).")]
    [InlineData(" { ", ", byte 4: no valid JSON: it begins a JSON text of several lines, but each line must be an object of its own (JSON Lines).")]
    [InlineData("[1]", ": found Array, but each line must be an object with the texts \"prompt\" and \"completion\", or with the text \"text\".")]
    [InlineData("{}", ": found an object with nothing, but each line must be an object with the texts \"prompt\" and \"completion\", or with the text \"text\".")]
    [InlineData("{\"prompt\": \"a\", \"completion\": 3}", ": found an object with \"prompt\" (String), \"completion\" (Number), but each line must be an object with the texts \"prompt\" and \"completion\", or with the text \"text\".")]
    [InlineData("{\"text\": \"\\ud800\"}", ": it holds half of a surrogate pair (\\uD800 to \\uDFFF alone), which is no text.")]
    public void A_bad_line_is_named(string line, string rest)
    {
        string path = "";
        byte[] file = Encoding.UTF8.GetBytes($"{{\"text\": \"ab\"}}\n\n{line}\n");
        var error = Assert.Throws<InvalidDataException>(() => TinyData.Read(file, null, out path));
        Assert.Equal($"{path}, line 3{rest}", error.Message);
    }

    [Fact]
    public void A_line_that_the_tokenizer_has_no_token_for_is_named()
    {
        using var stream = new MemoryStream("""{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "none"}, "pre_tokenizer": {"type": "WhitespaceSplit"}}"""u8.ToArray());
        HuggingFaceTokenizer closed = HuggingFaceTokenizer.FromStream(stream);
        using var folder = new Lora.Tests.TemporaryFolder();
        File.WriteAllText(folder["data.jsonl"], "{\"text\": \"a a\"}\n\n{\"text\": \"a b\"}\n");
        Assert.Equal(
            $"{folder["data.jsonl"]}, line 3: The text holds 'b', which is not in the tokenizer's vocabulary, and its unk_token 'none' is not there either. Add 'none' to model.vocab, or leave such words out of the text.",
            Assert.Throws<InvalidDataException>(() => JsonlDataset.Load(folder["data.jsonl"], closed)).Message);
    }

    [Fact]
    public void A_line_without_end_is_named()
    {
        using var folder = new Lora.Tests.TemporaryFolder();
        File.WriteAllText(folder["data.jsonl"], $"a\n{new string('b', 40)}\n");
        Assert.Equal(["a", new string('b', 40)], Utf8Lines.Read(folder["data.jsonl"], bufferBytes: 16, longestLine: 64).Select(line => line.Text));
        Assert.Equal(
            $"{folder["data.jsonl"]}, line 2: it is longer than 32 bytes: are the line ends missing?",
            Assert.Throws<InvalidDataException>(() => Utf8Lines.Read(folder["data.jsonl"], bufferBytes: 16, longestLine: 32).ToList()).Message);
    }

    [Theory]
    [InlineData(new byte[] { 0xC3, 0x28 })] // half a character
    [InlineData(new byte[] { 0xFF, 0xFE, 0x41, 0x00 })] // UTF-16
    public void Bytes_that_are_not_UTF8_are_an_error_and_not_replaced(byte[] bytes)
    {
        string path = "";
        byte[] file = [.. "{\"text\": \"ab\"}\n{\"text\": \""u8, .. bytes, .. "\"}\n"u8];
        var error = Assert.Throws<InvalidDataException>(() => TinyData.Read(file, null, out path));
        Assert.Equal($"{path}, line 2: not valid UTF-8: save the file in that encoding.", error.Message);
    }

    [Theory]
    [InlineData("", " holds no example.")]
    [InlineData("\n  \n", " holds no example.")]
    [InlineData("{\"text\": \"a\"}\n{\"prompt\": \"ab\", \"completion\": \"\"}", " holds no example: 2 lines were read, of which nothing to learn is left within 1024 tokens.")]
    public void A_file_without_examples_is_an_error(string text, string rest)
    {
        string path = "";
        var error = Assert.Throws<InvalidDataException>(() => TinyData.Read(Encoding.UTF8.GetBytes(text), null, out path));
        Assert.Equal(path + rest, error.Message);
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        var error = Assert.Throws<FileNotFoundException>(() => JsonlDataset.Load("no/such.jsonl", TinyData.Tokenizer));
        Assert.Equal("There is no data file 'no/such.jsonl'.", error.Message);
    }

    [Fact]
    public void Options_out_of_range_are_listed()
    {
        var error = Assert.Throws<ArgumentException>(() => TinyData.Read(new JsonlOptions { MaxLength = 1, EndTokenId = -1, MaxExamples = 0 }, "{}"));
        Assert.Equal(
            """
            The data cannot be read so:
              - MaxLength must be at least 2, since the first token is predicted by none, but is 1.
              - EndTokenId must be 0 or above, but is -1.
              - MaxExamples must be at least 1, but is 0.
            """.ReplaceLineEndings("\n"),
            error.Message);
    }

    [Fact]
    public void Lines_are_whole_whatever_the_size_of_the_buffer()
    {
        using var folder = new TemporaryFolder();
        string[] lines = ["é", "", "a long line with ünïcode 😀 in it", "x\ry", "last"];
        File.WriteAllText(folder["lines"], string.Join("\n", lines));
        for (int size = 1; size < 80; size++)
            Assert.Equal(lines.Select((line, i) => (i + 1, line)), Utf8Lines.Read(folder["lines"], size));
    }
}
