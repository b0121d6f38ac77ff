using Lora.Tests;

namespace Lora.Llm.Tests.Models.Generation;

/// <summary>Several texts at once, with the base model of the first sample.</summary>
public sealed class GenerateTextsTests
{
    private static readonly string s_folder = Path.Combine(RepositoryFolder.Root, "samples", "01.FineTune", "model");

    [Fact]
    public void Prompts_of_different_lengths_go_on_as_each_would_alone()
    {
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(s_folder);
        using LlamaModel model = LlamaModel.FromPretrained(s_folder, new PretrainedOptions { Device = TestDevice.Current });
        string[] prompts = ["Mia", "One day Tom went out and stayed in the", "There were three red foxes on the hill."];
        var options = new GenerationOptions { MaxNewTokens = 12 };

        IReadOnlyList<string> together = model.GenerateTexts(tokenizer, prompts, options, TestContext.Current.CancellationToken);

        string[] alone = [.. prompts.Select(prompt => model.GenerateText(tokenizer, prompt, options, TestContext.Current.CancellationToken))];
        Assert.Equal(alone, together);
        Assert.All(alone, text => Assert.NotEqual("", text));
        Assert.Equal(3, alone.Distinct().Count());
    }

    [Fact]
    public void No_prompt_gives_no_text_and_an_empty_one_is_refused()
    {
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(s_folder);
        using LlamaModel model = LlamaModel.FromPretrained(s_folder, new PretrainedOptions { Device = TestDevice.Current });

        Assert.Empty(model.GenerateTexts(tokenizer, [], cancellationToken: TestContext.Current.CancellationToken));
        ArgumentException exception = Assert.Throws<ArgumentException>(
            () => model.GenerateTexts(tokenizer, ["Mia", ""], cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal("Prompt 1 has no token: give at least the one that begins a text. (Parameter 'prompts')", exception.Message);
    }
}
