using Lora.Llm.Tests.Data;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Generation;

public sealed class GenerateTextTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly LlamaConfig Config = TinyLlama.Config with { VocabularySize = 31 };

    [Fact]
    public void What_was_added_comes_without_the_prompt_and_the_end_token()
    {
        using LlamaModel model = TinyLlama.Make(Config);
        using var scope = NewDisposeScope();
        var options = new GenerationOptions { MaxNewTokens = 9 };
        Tensor prompt = tensor(new long[] { 0, TinyData.BC, 3 }, [1, 3], device: TestDevice.Current);
        int[] added = [.. model.Generate(prompt, options, cancellationToken: Token).cpu().data<long>().ToArray().Skip(3).Select(id => (int)id)];
        Assert.Equal(TinyData.Tokenizer.Decode(added), model.GenerateText(TinyData.Tokenizer, "abcd", options, Token));

        int end = added[4], first = Array.IndexOf(added, end);
        string text = model.GenerateText(TinyData.Tokenizer, "abcd", options with { EndTokenIds = [end] }, Token);
        Assert.Equal(TinyData.Tokenizer.Decode(added[..first]), text);
    }

    [Fact]
    public void A_prompt_without_tokens_is_refused()
    {
        using LlamaModel model = TinyLlama.Make(Config);
        var error = Assert.Throws<ArgumentException>(() => model.GenerateText(TinyData.Tokenizer, "", cancellationToken: Token));
        Assert.Equal("The prompt has no token: give at least the one that begins a text. (Parameter 'prompt')", error.Message);
    }
}
