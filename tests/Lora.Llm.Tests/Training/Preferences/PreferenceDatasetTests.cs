using Lora.Llm.Tests.Data;
using Lora.Tests;

namespace Lora.Llm.Tests.Training.Preferences;

public sealed class PreferenceDatasetTests
{
    private const string Pair = """{"prompt": "de=", "chosen": "de.", "rejected": "fgh."}""";

    [Fact]
    public void Both_answers_go_on_from_the_prompt_which_is_not_learned()
    {
        PreferenceDataset data = TinyPreferences.Read(new JsonlOptions { EndTokenId = 29 }, Pair, "", Pair.Replace("fgh", "abc", StringComparison.Ordinal));
        Assert.Equal(2, data.Examples.Count);
        Assert.Equal(0, data.Skipped);
        Assert.EndsWith("preferences.jsonl", data.Path, StringComparison.Ordinal);
        int[] prompt = [.. TinyData.Tokenizer.EncodeToIds("de=")], chosen = [.. TinyData.Tokenizer.EncodeToIds("de.")], rejected = [.. TinyData.Tokenizer.EncodeToIds("fgh.")];
        Assert.Equal([.. prompt, .. chosen, 29], data.Examples[0].Chosen.InputIds);
        Assert.Equal([-100, -100, -100, .. chosen, 29], data.Examples[0].Chosen.Labels);
        Assert.Equal([.. prompt, .. rejected, 29], data.Examples[0].Rejected.InputIds);
        Assert.Equal([-100, -100, -100, .. rejected, 29], data.Examples[0].Rejected.Labels);
        Assert.Contains(TinyData.BC, data.Examples[1].Rejected.InputIds); // "bc" is one token
    }

    [Fact]
    public void Lines_that_say_nothing_are_counted_and_a_limit_ends_the_reading()
    {
        string same = """{"prompt": "de=", "chosen": "de.", "rejected": "de."}""", late = """{"prompt": "de=", "chosen": "defg", "rejected": "defh"}""";
        PreferenceDataset data = TinyPreferences.Read(new JsonlOptions { MaxLength = 6, MaxExamples = 1 }, same, late, Pair, Pair);
        Assert.Equal((1, 2), (data.Examples.Count, data.Skipped)); // the two of late differ behind the sixth token
        var error = Assert.Throws<InvalidDataException>(() => TinyPreferences.Read(new JsonlOptions { MaxLength = 3 }, same, Pair));
        Assert.EndsWith("preferences.jsonl holds no preference: 2 lines were read, whose answers do not differ or have nothing left within 3 tokens.", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("preferences.jsonl holds no preference.", Assert.Throws<InvalidDataException>(() => TinyPreferences.Read(null, "")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"prompt": "a", "chosen": "b"}""", "found an object with \"prompt\" (String), \"chosen\" (String), but each line must be an object with the texts \"prompt\", \"chosen\" and \"rejected\".")]
    [InlineData("""{"prompt": "a", "chosen": "b", "rejected": 1}""", "found an object with \"prompt\" (String), \"chosen\" (String), \"rejected\" (Number), but each line must be an object with the texts \"prompt\", \"chosen\" and \"rejected\".")]
    [InlineData("[]", "found Array, but each line must be an object with the texts \"prompt\", \"chosen\" and \"rejected\".")]
    public void Lines_of_another_form_are_named(string line, string reason)
    {
        var error = Assert.Throws<InvalidDataException>(() => TinyPreferences.Read(null, Pair, line));
        Assert.EndsWith($"preferences.jsonl, line 2: {reason}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_asked_for_wrongly_is_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal($"There is no data file '{folder["no"]}'.", Assert.Throws<FileNotFoundException>(() => PreferenceDataset.Load(folder["no"], TinyData.Tokenizer)).Message);
        Assert.Equal(
            "Both answers have the same prompt, so it says nothing about which is preferred: leave TrainOnPrompt off. (Parameter 'options')",
            Assert.Throws<ArgumentException>(() => TinyPreferences.Read(new JsonlOptions { TrainOnPrompt = true }, Pair)).Message);
    }

    [Fact]
    public void A_line_that_the_tokenizer_has_no_token_for_is_named()
    {
        using var stream = new MemoryStream("""{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "none"}, "pre_tokenizer": {"type": "WhitespaceSplit"}}"""u8.ToArray());
        HuggingFaceTokenizer closed = HuggingFaceTokenizer.FromStream(stream);
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["data.jsonl"], """{"prompt": "a", "chosen": " a", "rejected": " b"}""");
        Assert.StartsWith($"{folder["data.jsonl"]}, line 1: The text holds 'b', ", Assert.Throws<InvalidDataException>(() => PreferenceDataset.Load(folder["data.jsonl"], closed)).Message, StringComparison.Ordinal);
    }
}
