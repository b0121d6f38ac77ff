using Lora.Llm.Tests.Models;
using Lora.Tests;
using TorchSharp;
using static Lora.Llm.Tests.Training.TinyTraining;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training.Preferences;

[Collection(Alone.Name)]
public sealed class PreferenceTrainingTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly PreferenceDataset Data = TinyPreferences.Copying(20), HeldOut = TinyPreferences.Copying(8, first: 40);
    private static readonly TrainingOptions Plain = new() { Steps = 30, BatchSize = 5, LearningRate = 1e-2, EvaluationInterval = 10 };

    [Theory]
    [InlineData(PreferenceKind.Sigmoid)]
    [InlineData(PreferenceKind.Ipo)]
    public void The_chosen_answers_win(PreferenceKind kind)
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model, randomB: false);
        TrainingResult result = new LoraTrainer<LlamaModel>(lora, Plain).Train(new PreferenceObjective(new PreferenceOptions { Kind = kind }), Data, Data, cancellationToken: Token);
        Assert.Equal(0, result.EvaluationMetricsBefore["rewards/accuracy"]); // no answer has gained anything
        Assert.Equal(1, result.EvaluationMetricsAfter["rewards/accuracy"]);
        Assert.True(result.EvaluationMetricsAfter["rewards/margin"] > 0.3); // of IPO it tends to 0.5
        Assert.True(result.EvaluationLossAfter < 0.7 * result.EvaluationLossBefore, $"{result.EvaluationLossBefore} to {result.EvaluationLossAfter}");
        Assert.Equal(["logps/accuracy", "logps/chosen", "logps/rejected", "rewards/accuracy", "rewards/chosen", "rewards/margin", "rewards/rejected"], result.Steps[0].Metrics.Keys.Order(StringComparer.Ordinal));
    }

    // Merged adapters cannot be switched off, and switching them off must not leave a trace.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_adapter_that_merges_in_evaluation_learns_the_same(bool startsInTraining)
    {
        double[] plain = Losses(false), merging = Losses(true);
        for (int i = 0; i < plain.Length; i++) Assert.Equal(plain[i], merging[i], 1e-4 * plain[i]);

        double[] Losses(bool merges)
        {
            using LlamaModel model = TinyLlama.Make();
            using (LoraModel<LlamaModel> lora = LoraModel.Wrap(model, Config, new WrapOptions { MergeInEvaluation = merges }))
            {
                using (no_grad())
                using (NewDisposeScope())
                using (var generator = new Generator(9))
                    foreach (AdapterLayer layer in lora.Layers)
                    {
                        layer.Layer.Adapter.A.copy_(randn(layer.Layer.Adapter.A.shape, generator: generator).mul(0.2));
                        layer.Layer.Adapter.B.copy_(randn(layer.Layer.Adapter.B.shape, generator: generator).mul(0.1));
                    }
                model.train(startsInTraining);
                TrainingResult result = new LoraTrainer<LlamaModel>(lora, Plain with { Steps = 4, EvaluationInterval = 2 }).Train(new PreferenceObjective(), Data, HeldOut, cancellationToken: Token);
                Assert.Equal(startsInTraining, model.training);
                model.train();
                Assert.True(result.EvaluationLossBefore > 0.1);
                return [.. result.Steps.SelectMany(step => new[] { step.Loss, step.EvaluationLoss ?? 0 }), result.EvaluationLossBefore!.Value];
            }
        }
    }

    [Fact]
    public void A_stopped_training_goes_on_bit_for_bit_and_another_objective_is_refused()
    {
        using var folder = new TemporaryFolder();
        int threads = get_num_threads();
        set_num_threads(1);
        try
        {
            (TrainingResult? whole, double[] numbers) = Run("whole", stopAfter: null);
            Assert.Null(Run("parts", stopAfter: 13).Result);
            (TrainingResult? rest, double[] again) = Run("parts", stopAfter: null);
            Assert.Equal(10, rest!.ResumedFrom);
            Assert.Equal(whole!.Steps.Skip(10).Select(Text), rest.Steps.Select(Text));
            Assert.Equal(numbers, again);
            var error = Assert.Throws<InvalidOperationException>(() => Run("parts", stopAfter: null, beta: 0.2));
            Assert.Contains("\n  - the objective's Beta: 0.2 here, 0.1 in the checkpoint\n", error.Message, StringComparison.Ordinal);
        }
        finally
        {
            set_num_threads(threads);
        }

        (TrainingResult? Result, double[] Numbers) Run(string name, int? stopAfter, double beta = 0.1)
        {
            using LlamaModel model = TinyLlama.Make();
            using LoraModel<LlamaModel> lora = Wrap(model, Config with { Dropout = 0.2 });
            using var source = new CancellationTokenSource();
            var options = Plain with { GradientAccumulation = 2, Checkpoints = new CheckpointOptions(folder[name]) { Interval = 5 } };
            var trainer = new LoraTrainer<LlamaModel>(lora, options);
            var objective = new PreferenceObjective(new PreferenceOptions { Beta = beta });
            var reports = new Reports(step => { if (step.Step == stopAfter) source.Cancel(); });
            if (stopAfter is null) return (trainer.Train(objective, Data, HeldOut, reports, Token), Numbers(lora));
            Assert.Throws<OperationCanceledException>(() => trainer.Train(objective, Data, HeldOut, reports, source.Token));
            return (null, Numbers(lora));
        }

        static string Text(TrainingStep step) => FormattableString.Invariant($"{step.Step} {step.Loss:R} {step.GradientNorm:R} {step.EvaluationLoss:R} {string.Join(' ', step.Metrics.Concat(step.EvaluationMetrics).Select(metric => $"{metric.Key} {metric.Value:R}"))}");
    }

    [Fact]
    public void Nothing_is_left_behind()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        Leaks.AssertNone(2, () => new LoraTrainer<LlamaModel>(lora, Plain with { Steps = 5 }).Train(new PreferenceObjective(), Data, HeldOut, cancellationToken: Token));
    }
}
