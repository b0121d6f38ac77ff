using Lora.Initialization;
using Lora.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

[Collection(GuideRuns.Name)]
public class MethodsGuide
{
    [Fact]
    public void Starts_forms_optimizers()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(4);
        Tensor x = rand(16, 6);
        var model = new Classifier();
        // snippet methods-forms
        LoraConfig plain = LoraConfig.AllLinear(rank: 4, alpha: 8);
        LoraConfig dora = plain with { UseDora = true };                                   // magnitude and direction apart
        LoraConfig stable = plain with { UseRankStabilizedScaling = true };                // α/√r in place of α/r, for high ranks
        LoraConfig patterns = plain with
        {
            RankPattern = new Dictionary<string, int> { ["out"] = 8 },                     // this layer has another rank
            AlphaPattern = new Dictionary<string, double> { ["out"] = 24 },
        };
        // end

        // snippet methods-starts
        LoraConfig pissa = plain with { Initialization = AdapterInitialization.Pissa };    // the largest singular directions of each weight
        LoraConfig eva = plain with
        {
            // The data runs through the model inside Wrap; what the layers see there decides their start.
            Initialization = new EvaInitialization { Passes = [new CalibrationPass(() => model.call(x))] },
        };
        // end
        foreach (LoraConfig config in (LoraConfig[])[plain, dora, stable, patterns, pissa, eva])
        {
            Tensor before = model.call(x).detach();
            using LoraModel<Classifier> lora = LoraModel.Wrap(model, config);
            Assert.True(before.allclose(model.call(x), atol: 1e-5));

            // snippet methods-optimizer
            using var loraPlus = new FlatAdamW(lora.ParameterGroups(new GroupOptions { LearningRate = 2e-4, UpRatio = 16, WeightDecay = 0.01 }));
            // end
            model.call(x).square().mean().backward();
            loraPlus.step();
            Assert.False(before.allclose(model.call(x), rtol: 0, atol: 1e-5));
        }
    }

    [Fact]
    public void Look_into_an_adapter()
    {
        using DisposeScope scope = NewDisposeScope();
        using LoraModel<Classifier> lora = LoraModel.Wrap(new Classifier(), LoraConfig.AllLinear(rank: 4, alpha: 8) with { Initialization = AdapterInitialization.Gaussian });
        using (no_grad())
        {
            foreach (var parameter in lora.TrainableParameters()) parameter.uniform_(-0.3, 0.3);
        }

        // snippet methods-inspect
        AdapterInspection inspection = lora.Inspect(LoraModel.DefaultAdapter);
        LayerInspection most = inspection.MostMoved(1)[0];        // norm, spectral norm and effective rank of ΔW
        inspection.SaveSvg("out/map.svg");                        // a heat map of all layers
        CombineResult smaller = lora.ReduceRank(LoraModel.DefaultAdapter, "small", energyThreshold: 0.99);
        // end
        Assert.True(most.DeltaNorm > 0 && File.Exists("out/map.svg") && smaller.Layers.Count == 2);
    }
}
