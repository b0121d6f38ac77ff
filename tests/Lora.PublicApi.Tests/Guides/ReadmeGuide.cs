// Readers of a page have no test context: the code stands as they would write it.
#pragma warning disable xUnit1051
using Lora.Export;
using Lora.Llm;
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

    [Fact]
    public void A_language_model()
    {
        using DisposeScope scope = NewDisposeScope();
        Directory.CreateDirectory("out");
        // snippet readme-llm
        using CausalLanguageModel model = AutoModel.FromPretrained("models/Llama-3.2-1B");
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder("models/Llama-3.2-1B");
        JsonlDataset data = JsonlDataset.Load("train.jsonl", tokenizer, new JsonlOptions { EndTokenId = tokenizer.EosId });
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 16, alpha: 32));
        new LoraTrainer<CausalLanguageModel>(lora, new TrainingOptions { Epochs = 3, BatchSize = 8, LearningRate = 2e-4 }).Train(data);
        string text = model.GenerateText(tokenizer, "The capital of France is", new GenerationOptions { MaxNewTokens = 20 });
        lora.Save("out/capitals");

        // On disk, tensor by tensor; the model may be larger than the memory.
        CheckpointMerge.Run("models/Llama-3.2-1B", ["out/capitals"], "out/merged-capitals");
        // end
        Assert.NotNull(text);
    }
}
