using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>Models of full size on the meta device, which has shapes and no memory. The wanted counts come from the sizes by a formula.</summary>
public sealed class FullSizeTests
{
    [Fact]
    public void Llama_3_1_8B()
    {
        var config = new LlamaConfig { VocabularySize = 128256, HiddenSize = 4096, IntermediateSize = 14336, Layers = 32, Heads = 32, KeyValueHeads = 8, HeadDimension = 128 };
        using var model = new LlamaModel(config, ScalarType.BFloat16, META);
        long layer = 4096L * (4096 + 1024 + 1024 + 4096) + 3L * 4096 * 14336 + 2 * 4096;
        Assert.Equal(32 * layer + 2L * 128256 * 4096 + 4096, model.parameters().Sum(p => p.numel()));
        Check(model, null, 32 * 16 * (4096L + 4096 + 4096 + 1024));
        Check(model, ModuleSelector.AllLinear, 32 * 16 * ((4096L + 4096) * 2 + (4096 + 1024) * 2 + (4096 + 14336) * 3));
    }

    [Fact]
    public void Gpt_2_XL()
    {
        using var model = new Gpt2Model(new Gpt2Config { VocabularySize = 50257, HiddenSize = 1600, InnerSize = 6400, Layers = 48, Heads = 25 }, ScalarType.Float32, META);
        long layer = 1600L * 4800 + 4800 + 1600L * 1600 + 1600 + 2 * 1600L * 6400 + 6400 + 1600 + 4 * 1600;
        Assert.Equal(48 * layer + (50257L + 1024) * 1600 + 2 * 1600, model.parameters().Sum(p => p.numel()));
        Check(model, null, 48 * 16 * (1600L + 4800));
    }

    [Fact]
    public void Gemma_2_2B()
    {
        var config = new Gemma2Config { VocabularySize = 256000, HiddenSize = 2304, IntermediateSize = 9216, Layers = 26, Heads = 8, KeyValueHeads = 4, HeadDimension = 256 };
        using var model = new Gemma2Model(config, ScalarType.BFloat16, META);
        long layer = 2304L * (2048 + 1024 + 1024 + 2048) + 3L * 2304 * 9216 + 4 * 2304;
        Assert.Equal(26 * layer + 256000L * 2304 + 2304, model.parameters().Sum(p => p.numel()));
        Check(model, null, 26 * 16 * (2304L + 2048 + 2304 + 1024));
    }

    [Fact]
    public void Phi_3_mini()
    {
        var config = new Phi3Config { VocabularySize = 32064, HiddenSize = 3072, IntermediateSize = 8192, Layers = 32, Heads = 32, KeyValueHeads = 32, HeadDimension = 96 };
        using var model = new Phi3Model(config, ScalarType.BFloat16, META);
        long layer = 3072L * (3 * 3072 + 3072) + 3L * 3072 * 8192 + 2 * 3072;
        Assert.Equal(32 * layer + 2L * 32064 * 3072 + 3072, model.parameters().Sum(p => p.numel()));
        Check(model, ModuleSelector.AllLinear, 32 * 16 * (3072L + 3 * 3072 + 3072 + 3072 + 3072 + 2 * 8192 + 8192 + 3072));
    }

    private static void Check(CausalLanguageModel model, ModuleSelector? targets, long trainable)
    {
        var config = new LoraConfig { Rank = 16, Alpha = 32 };
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, targets is null ? config : config with { TargetModules = targets });
        Assert.Equal(trainable, lora.ParameterCounts.Trainable);
    }
}
