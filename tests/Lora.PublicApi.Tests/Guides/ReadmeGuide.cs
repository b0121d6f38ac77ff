// Readers of a page have no test context: the code stands as they would write it.
#pragma warning disable xUnit1051
using Lora.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

[Collection(GuideRuns.Name)]
public class ReadmeGuide
{
    [Fact]
    public void A_model_of_ones_own()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(7);
        var model = new Classifier();
        Tensor x = rand(3, 6);
        Directory.CreateDirectory("out");
        using (LoraModel<Classifier> other = LoraModel.Wrap(new Classifier(), LoraConfig.AllLinear(rank: 2, alpha: 6))) other.Save("out/style");

        // snippet readme-own
        // A model of your own: any TorchSharp module.
        using LoraModel<Classifier> lora = LoraModel.Wrap(model, new LoraConfig
        {
            Rank = 8,
            Alpha = 16,
            TargetModules = ModuleSelector.EndsWith("hidden", "out"),
        });
        using var optimizer = optim.AdamW(lora.TrainableParameters(), 2e-4);
        // … your own loop goes on calling model.call(x) …

        lora.Save("out/sql");                              // PEFT's two files
        using (lora.Disable()) model.call(x);              // the base model's outputs
        lora.Merge();                                      // ΔW inside the weights: no extra work in a forward pass
        lora.Unmerge();
        // end

        // snippet readme-adapters
        lora.LoadAdapter("style", "out/style");            // further adapters, of any rank and targets
        lora.SetActive("default", "style");                // their terms add up
        using (lora.Use("style")) model.call(x);           // for a while
        using (lora.UsePerSample("default", "style", LoraModel.BaseAdapter)) model.call(x); // each row of a batch its own
        lora.Combine("blend", [("default", 0.7), ("style", 0.3)], new CombineOptions { Method = CombineMethod.Svd, Rank = 8 });
        Classifier merged = lora.MergeAndUnload();         // the model without adapters, with changed weights
        // end

        // snippet readme-methods
        // Another start, another form, another optimizer.
        LoraConfig config = LoraConfig.AllLinear(rank: 4, alpha: 8) with { Initialization = AdapterInitialization.Pissa };
        using LoraModel<Classifier> again = LoraModel.Wrap(merged, config);
        using var loraPlus = new FlatAdamW(again.ParameterGroups(new GroupOptions { LearningRate = 2e-4, UpRatio = 16, WeightDecay = 0.01 }));
        // end
        Assert.Same(model, merged);
    }
}
