using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>A Llama whose head shares the token embedding's weight, with one adapter for both.</summary>
public sealed class TiedAdapterTests
{
    [Fact]
    public void It_computes_generates_and_merges_as_one_weight_does()
    {
        using var scope = NewDisposeScope();
        using LlamaModel model = TinyLlama.Make(TinyLlama.Config with { TieEmbeddings = true });
        using var folder = new TemporaryFolder();
        Tensor tokens = TinyLlama.Ids(2, 5);
        var config = new LoraConfig { Rank = 2, Alpha = 3, TargetModules = ModuleSelector.EndsWith("q_proj", "lm_head"), EnsureWeightTying = true };
        LoraModel<LlamaModel> lora = LoraModel.Wrap(model, config);
        Assert.Equal("model.embed_tokens", lora.Layers[0].Path);
        Assert.Equal(ModuleSelector.EndsWith("q_proj", "model.embed_tokens"), lora.Config.TargetModules);
        using (no_grad())
            foreach ((_, TorchSharp.Modules.Parameter parameter) in lora.AdapterTensors("default")) parameter.copy_(arange(parameter.numel(), dtype: ScalarType.Float32).mul(0.7).sin().mul(0.2).view(parameter.shape));
        Tensor adapted = Output(model, tokens);
        lora.Save(folder.Path);
        var options = new GenerationOptions { MaxNewTokens = 6, EndTokenIds = [], PadTokenId = 0 };
        long[] generated = Ids(model.Generate(tokens, options, cancellationToken: TestContext.Current.CancellationToken));

        using LlamaModel other = TinyLlama.Make(TinyLlama.Config with { TieEmbeddings = true });
        using LoraModel<LlamaModel> loaded = LoraModel.Load(other, folder.Path);
        Assert.True(Output(other, tokens).allclose(adapted, 0, 0));
        lora.MergeAndUnload();
        Assert.True(Output(model, tokens).allclose(adapted, 1e-4, 1e-5));
        Assert.Equal(generated, Ids(model.Generate(tokens, options, cancellationToken: TestContext.Current.CancellationToken)));
    }

    private static long[] Ids(Tensor tensor) => tensor.cpu().data<long>().ToArray();

    private static Tensor Output(LlamaModel model, Tensor tokens)
    {
        using var noGrad = no_grad();
        return model.call(new CausalInput(tokens));
    }
}
