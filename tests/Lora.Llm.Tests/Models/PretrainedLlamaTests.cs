using System.Text.Json;
using Lora.Tests;
using Microsoft.ML.Tokenizers;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>A real pretrained Llama of 260,000 parameters tells its published story.</summary>
public sealed class PretrainedLlamaTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Greedy_decoding_gives_the_published_text(bool useCache)
    {
        string folder = RepositoryFolder.SharedData("stories260k") ?? "";
        if (folder.Length == 0) Assert.Skip("There is no shared/data/stories260k beside or above the checkout.");
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "expected.json")));
        long[] prompt = Ids(expected, "prompt_ids"), wanted = Ids(expected, "greedy_ids");
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(folder);
        using LlamaModel model = LlamaModel.FromPretrained(folder, new PretrainedOptions { Device = TestDevice.Current });
        using var scope = NewDisposeScope();

        // The published ids hold the prompt.
        var options = new GenerationOptions { MaxNewTokens = wanted.Length - prompt.Length, EndTokenIds = [], UseCache = useCache };
        Tensor ids = model.Generate(tensor(prompt, [1, prompt.Length], dtype: ScalarType.Int64, device: TestDevice.Current), options, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(wanted, ids.cpu().data<long>().ToArray());
        Assert.Equal(expected.RootElement.GetProperty("text").GetString(), tokenizer.Decode(wanted.Select(id => (int)id), skipSpecialTokens: true));
    }

    private static long[] Ids(JsonDocument document, string name) => [.. document.RootElement.GetProperty(name).EnumerateArray().Select(id => id.GetInt64())];
}
