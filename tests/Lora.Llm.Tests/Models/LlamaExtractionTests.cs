using Lora.Conversion;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>Two Llamas in Hugging Face's form: the difference of their files as an adapter of the first.</summary>
public sealed class LlamaExtractionTests
{
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void At_full_rank_and_with_all_that_differs_the_base_becomes_the_tuned_model(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using ModelFolder before = ModelFolder.Of(TinyLlama.Config, type), after = ModelFolder.Of(TinyLlama.Config);
        using (LlamaModel tuned = TinyLlama.Make(seed: 8)) after.WriteWeights(tuned, type);
        using var folder = new TemporaryFolder();
        ExtractionResult result = LoraExtraction.FromCheckpoints(before.Path, after.Path, folder.Path, new ExtractionOptions { EnergyThreshold = 1, Untargeted = UntargetedDifferences.Save });
        Assert.Equal(7 * TinyLlama.Config.Layers, result.Layers.Count);
        Assert.All(result.Layers, layer => Assert.InRange(layer.RelativeError, 0, 1e-6));
        Assert.All(result.Untargeted, difference => Assert.Equal("modules_to_save", difference.SavedBy));
        Assert.Contains("lm_head", result.Config.ModulesToSave);

        using LlamaModel expected = LlamaModel.FromPretrained(after.Path, new PretrainedOptions { DataType = ScalarType.Float32, Device = TestDevice.Current });
        using LlamaModel model = LlamaModel.FromPretrained(before.Path, new PretrainedOptions { DataType = ScalarType.Float32, Device = TestDevice.Current });
        using LoraModel<LlamaModel> lora = LoraModel.Load(model, folder.Path);
        foreach (LlamaModel each in new[] { expected, model }) each.eval();
        Tensor tokens = TinyLlama.Ids(2, 5);
        Assert.Empty(lora.LoadReport);
        Assert.InRange(Output(expected, tokens).sub(Output(model, tokens)).abs().max().item<float>(), 0, 1e-4f);
    }

    private static Tensor Output(LlamaModel model, Tensor tokens)
    {
        using var noGrad = no_grad();
        return model.call(new CausalInput(tokens));
    }
}
