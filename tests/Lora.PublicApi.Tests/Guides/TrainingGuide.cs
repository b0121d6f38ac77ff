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
    public void Stop_and_go_on()
    {
        using DisposeScope scope = NewDisposeScope();
        using CausalLanguageModel model = AutoModel.FromPretrained("models/Llama-3.2-1B");
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder("models/Llama-3.2-1B");
        JsonlDataset data = JsonlDataset.Load("train.jsonl", tokenizer, new JsonlOptions { EndTokenId = tokenizer.EosId });
        JsonlDataset heldOut = JsonlDataset.Load("test.jsonl", tokenizer, new JsonlOptions { EndTokenId = tokenizer.EosId });
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 4, alpha: 8));
        // snippet training-checkpoints
        var options = new TrainingOptions
        {
            Epochs = 3,
            EvaluationInterval = 5,
            Checkpoints = new CheckpointOptions("out/checkpoints") { Interval = 5, KeepLast = 2 }, // and the best one
            EarlyStopping = new EarlyStopping(Patience: 3),
            LoadBestAtEnd = true,
        };
        TrainingResult result = new LoraTrainer<CausalLanguageModel>(lora, options).Train(data, heldOut);
        Console.WriteLine($"Went on from step {result.ResumedFrom}; best at step {result.BestStep}: {result.BestEvaluationLoss:F3}");
        // end
        Assert.Null(result.ResumedFrom);
        Assert.Equal(18, new LoraTrainer<CausalLanguageModel>(lora, options).Train(data, heldOut).ResumedFrom);

        // snippet training-guards
        var watched = new TrainingOptions { Steps = 4, Guards = TrainingGuards.All & ~TrainingGuards.FrozenWeights };
        try
        {
            new LoraTrainer<CausalLanguageModel>(lora, watched).Train(data);
        }
        catch (TrainingGuardException exception)
        {
            Console.WriteLine($"Stopped by {exception.Guard} at step {exception.Step}: {exception.Message}");
        }
        // end

        // snippet training-optimizer
        var plus = new TrainingOptions { Steps = 4, LearningRate = 2e-4, UpRatio = 16, WeightDecay = 0.01 };
        var other = new TrainingOptions { Steps = 4, Optimizer = groups => optim.SGD(groups.ForSgd(momentum: 0.9), 2e-4) };
        var manifold = new TrainingOptions { Steps = 4, Optimizer = groups => new PreconditionedOptimizer(new FlatAdamW(groups), lora.Pairs(), new RiemannianPreconditioner()) };
        foreach (TrainingOptions choice in new[] { plus, other, manifold }) new LoraTrainer<CausalLanguageModel>(lora, choice).Train(data);
        // end

        // snippet training-metrics
        using (var table = new CsvMetrics("out/steps.csv"))
            new LoraTrainer<CausalLanguageModel>(lora, new TrainingOptions { Steps = 4 }).Train(data, progress: table);
        using (var board = new TensorBoardMetrics("out/runs/first"))
            new LoraTrainer<CausalLanguageModel>(lora, new TrainingOptions { Steps = 4 }).Train(data, progress: board);
        // end
        Assert.Equal(5, File.ReadAllLines("out/steps.csv").Length);
    }

    [Fact]
    public void Preferences()
    {
        using DisposeScope scope = NewDisposeScope();
        using CausalLanguageModel model = AutoModel.FromPretrained("models/Llama-3.2-1B");
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder("models/Llama-3.2-1B");
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 4, alpha: 8));
        // snippet training-preferences
        PreferenceDataset pairs = PreferenceDataset.Load("preferences.jsonl", tokenizer, new JsonlOptions { EndTokenId = tokenizer.EosId });
        var objective = new PreferenceObjective(new PreferenceOptions { Beta = 0.1 });
        TrainingResult result = new LoraTrainer<CausalLanguageModel>(lora, new TrainingOptions { Epochs = 4, LearningRate = 2e-3 }).Train(objective, pairs, pairs);
        Console.WriteLine($"Margin {result.EvaluationMetricsAfter["rewards/margin"]:F2}, right {result.EvaluationMetricsAfter["logps/accuracy"]:P0}");
        // end
        Assert.True(result.EvaluationMetricsAfter["rewards/margin"] > 0);
    }
}
