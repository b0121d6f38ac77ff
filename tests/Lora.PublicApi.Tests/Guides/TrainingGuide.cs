// Readers of a guide have no test context: the code stands as they would write it.
#pragma warning disable xUnit1051
using Lora.Llm;
using Lora.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

[Collection(GuideRuns.Name)]
public class TrainingGuide
{
    [Fact]
    public void Train_stop_and_go_on()
    {
        using DisposeScope scope = NewDisposeScope();
        using CausalLanguageModel model = AutoModel.FromPretrained("models/Llama-3.2-1B");
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder("models/Llama-3.2-1B");
        var reading = new JsonlOptions { EndTokenId = tokenizer.EosId };
        JsonlDataset data = JsonlDataset.Load("train.jsonl", tokenizer, reading), heldOut = JsonlDataset.Load("test.jsonl", tokenizer, reading);
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 4, alpha: 8));

        // snippet training-checkpoints
        var options = new TrainingOptions
        {
            Epochs = 2,
            BatchSize = 4,
            GradientAccumulation = 2,
            EvaluationInterval = 4,
            EarlyStopping = new EarlyStopping(Patience: 3, MinDelta: 0.001),
            Checkpoints = new CheckpointOptions("out/checkpoints") { Interval = 4, KeepLast = 2, KeepBest = true },
            LoadBestAtEnd = true,
        };
        var trainer = new LoraTrainer<CausalLanguageModel>(lora, options);
        TrainingResult result = trainer.Train(data, heldOut);   // started again after a crash, it goes on where it was
        // end
        Assert.Null(result.ResumedFrom);
        Assert.NotNull(result.BestStep);

        // snippet training-metrics
        using var csv = new CsvMetrics("out/metrics.csv");
        using var board = new TensorBoardMetrics("out/board");
        // end

        // snippet training-guards
        options = options with { Guards = TrainingGuards.All & ~TrainingGuards.FrozenWeights };   // one of them off
        // end
        TrainingResult again = new LoraTrainer<CausalLanguageModel>(lora, options).Train(data, heldOut, csv);
        Assert.NotNull(again.ResumedFrom);

        // snippet training-optimizer
        options = new TrainingOptions
        {
            UpRatio = 16,                                                                          // LoRA+
            Optimizer = groups => new PreconditionedOptimizer(new FlatAdamW(groups), lora.Pairs(), new RiemannianPreconditioner()),
        };
        // end
        Assert.NotNull(options.Optimizer);
    }

    [Fact]
    public void Preferences()
    {
        using DisposeScope scope = NewDisposeScope();
        using CausalLanguageModel model = AutoModel.FromPretrained("models/Llama-3.2-1B");
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder("models/Llama-3.2-1B");
        File.WriteAllLines("preferences.jsonl", Enumerable.Range(0, 8).Select(i => $$"""{"prompt": "name: Tom{{i}} =>", "chosen": " A dog.", "rejected": " A cat and a dog."}"""));
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 4, alpha: 8));
        // snippet training-preferences
        PreferenceDataset preferences = PreferenceDataset.Load("preferences.jsonl", tokenizer, new JsonlOptions { EndTokenId = tokenizer.EosId });
        var objective = new PreferenceObjective(new PreferenceOptions { Beta = 0.1 });
        TrainingResult result = new LoraTrainer<CausalLanguageModel>(lora, new TrainingOptions { Epochs = 3, BatchSize = 4, LearningRate = 1e-3 }).Train(objective, preferences);
        // end
        Assert.True(result.Steps[^1].Loss < result.Steps[0].Loss);
    }
}
