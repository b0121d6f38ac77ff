using System.Text.Json;
using Lora.Llm.Tokenization;
using Lora.Tests;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>The tokenizer of a published model, with the encodings that were published for it.</summary>
public sealed class Stories260KTests
{
    [Fact]
    public void Encodes_as_published()
    {
        string folder = Folder();
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(folder);
        using JsonDocument recorded = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "expected.json")));
        foreach (JsonElement record in recorded.RootElement.GetProperty("encodings").EnumerateArray())
        {
            int[] ids = [.. record.GetProperty("ids").EnumerateArray().Select(item => item.GetInt32())];
            Assert.Equal(ids, tokenizer.EncodeToIds(record.GetProperty("text").GetString()!));
        }

        int[] greedy = [.. recorded.RootElement.GetProperty("greedy_ids").EnumerateArray().Select(item => item.GetInt32())];
        Assert.Equal(recorded.RootElement.GetProperty("text").GetString(), tokenizer.Decode(greedy, skipSpecialTokens: true));
    }

    [Fact]
    public void Knows_the_tokens_that_its_configuration_names()
    {
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(Folder());
        Assert.Equal(1, tokenizer.BosId);
        Assert.Equal(2, tokenizer.EosId);
        Assert.Equal(0, tokenizer.UnknownId);
        Assert.Null(tokenizer.PadId);
        Assert.Equal(512, tokenizer.VocabularySize);
    }

    private static string Folder()
    {
        string? folder = RepositoryFolder.SharedData("stories260k");
        Assert.SkipWhen(folder is null, "shared/data/stories260k is not beside or above the checkout.");
        return folder;
    }
}
