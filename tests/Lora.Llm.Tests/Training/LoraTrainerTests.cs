using Lora.Llm.Tests.Data;
using Lora.Llm.Tests.Models;
using Lora.Tests;
using TorchSharp;
using static Lora.Llm.Tests.Training.TinyTraining;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training;

public sealed class LoraTrainerTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly JsonlDataset Data = TinyData.Copying(24), HeldOut = TinyData.Copying(7, first: 40);

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.BFloat16)]
    public void The_loss_falls_and_the_base_stays_as_it_was(ScalarType type)
    {
        using LlamaModel model = TinyLlama.Make(dataType: type);
        double[] before = [.. model.named_parameters().SelectMany(p => TinyLlama.Values(p.parameter))];
        using (LoraModel<LlamaModel> lora = Wrap(model, randomB: false))
        {
            TrainingResult result = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { Steps = 40, LearningRate = 2e-2, BatchSize = 6 }).Train(Data, Data, cancellationToken: Token);
            Assert.True(result.EvaluationLossAfter < 0.6 * result.EvaluationLossBefore, $"{result.EvaluationLossBefore} to {result.EvaluationLossAfter}");
            Assert.Equal(40, result.Steps.Count);
            Assert.Equal(result.Steps.Sum(step => step.Tokens), result.Tokens);
            Assert.All(lora.TrainableParameters(), parameter => Assert.Null(parameter.grad));
        }
        Assert.Equal(before, model.named_parameters().SelectMany(p => TinyLlama.Values(p.parameter)));
    }

    [Theory]
    [InlineData(ScalarType.Float32, 1e-6)]
    [InlineData(ScalarType.Float64, 1e-14)]
    public void Accumulated_batches_give_the_gradients_of_all_at_once(ScalarType type, double tolerance)
    {
        using LlamaModel model = TinyLlama.Make(dataType: type);
        using LoraModel<LlamaModel> lora = Wrap(model);
        var trainer = new LoraTrainer<LlamaModel>(lora);
        IReadOnlyList<TrainingExample> all = [.. Data.Examples.Take(7)];
        Assert.True(all.Select(example => example.LearnedTokens).Distinct().Count() > 2);
        (double loss, int tokens) = trainer.AddGradients([all]);
        double[] wanted = Gradients(lora);
        model.zero_grad();
        (double again, int others) = trainer.AddGradients([[.. all.Take(1)], [.. all.Skip(1).Take(4)], [.. all.Skip(5)]]);
        double[] found = Gradients(lora);
        Assert.Equal(tokens, others);
        Assert.Equal(all.Sum(example => example.InputIds.Count), tokens);
        Assert.Equal(loss, again, tolerance * loss);
        double largest = wanted.Max(Math.Abs);
        Assert.True(largest > 0);
        for (int i = 0; i < wanted.Length; i++) Assert.Equal(wanted[i], found[i], tolerance * largest);
    }

    [Fact]
    public void Accumulation_trains_as_the_large_batch_does()
    {
        var options = new TrainingOptions { Steps = 6, LearningRate = 1e-2, GroupByLength = false, MaxGradientNorm = 0.5, WeightDecay = 0.1 };
        double[] large = Losses(options with { BatchSize = 6 }), small = Losses(options with { BatchSize = 2, GradientAccumulation = 3 });
        for (int i = 0; i < 6; i++) Assert.Equal(large[i], small[i], 1e-5 * large[i]);

        static double[] Losses(TrainingOptions options)
        {
            using LlamaModel model = TinyLlama.Make();
            using LoraModel<LlamaModel> lora = Wrap(model);
            return [.. new LoraTrainer<LlamaModel>(lora, options).Train(Data, cancellationToken: Token).Steps.Select(step => step.Loss)];
        }
    }

    // AdamW divides by √v + 1e-8: gradients far below that move hardly anything, others by about the rate.
    [Fact]
    public void Gradients_are_clipped_to_the_largest_norm()
    {
        Assert.InRange(Moved(1e-12), 0, 1e-5);
        Assert.InRange(Moved(0), 5e-3, 2e-2);

        static double Moved(double largestNorm)
        {
            using LlamaModel model = TinyLlama.Make();
            using LoraModel<LlamaModel> lora = Wrap(model);
            double[] before = Numbers(lora);
            var options = new TrainingOptions { Steps = 1, LearningRate = 1e-2, MaxGradientNorm = largestNorm };
            TrainingResult result = new LoraTrainer<LlamaModel>(lora, options).Train(Data, cancellationToken: Token);
            Assert.True(result.Steps[0].GradientNorm > 1e-3); // that before clipping
            return Numbers(lora).Zip(before, (a, b) => Math.Abs(a - b)).Max();
        }
    }

    [Fact]
    public void Every_step_is_reported_in_order()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        var reports = new Reports();
        var options = new TrainingOptions { Epochs = 2.5, BatchSize = 7, GradientAccumulation = 2, WarmupSteps = 2, EvaluationInterval = 2, LearningRate = 1e-3 };
        TrainingResult result = new LoraTrainer<LlamaModel>(lora, options).Train(Data, HeldOut, reports, Token);

        Assert.Equal(5, reports.Count); // 2.5 epochs of 4 batches, two of them a step
        Assert.Equal(reports, result.Steps);
        Assert.Equal(Enumerable.Range(1, 5), reports.Select(step => step.Step));
        Assert.All(reports, step => Assert.Equal(5, step.TotalSteps));
        double[] rates = [0, 5e-4, 1e-3, 1e-3 * 2 / 3, 1e-3 / 3];
        for (int i = 0; i < 5; i++) Assert.Equal(rates[i], reports[i].LearningRate, 1e-15);
        Assert.Equal([false, true, false, true, true], reports.Select(step => step.EvaluationLoss is not null));
        Assert.Equal(reports[4].EvaluationLoss, result.EvaluationLossAfter);
        Assert.NotEqual(result.EvaluationLossBefore, result.EvaluationLossAfter);
        Assert.Equal(reports.Select(step => step.Elapsed).Order(), reports.Select(step => step.Elapsed));
        Assert.Equal(2 * Data.Examples.Sum(e => e.InputIds.Count), reports.Take(4).Sum(step => step.Tokens)); // two whole epochs
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(32)]
    public void Evaluation_is_the_mean_over_all_learned_tokens(int batch)
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model, Config with { Dropout = 0.5 });
        model.train();
        double found = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { EvaluationBatchSize = batch }).Evaluate(HeldOut, Token);
        Assert.True(model.training);

        model.eval();
        using var noGrad = no_grad();
        double sum = 0;
        int count = 0;
        foreach (TrainingExample example in HeldOut.Examples)
        {
            using var scope = NewDisposeScope();
            Tensor ids = tensor(example.InputIds.Select(id => (long)id).ToArray(), [1, example.InputIds.Count], device: TestDevice.Current);
            Tensor logs = model.call(ids).log_softmax(-1);
            for (int i = 1; i < example.Labels.Count; i++)
            {
                if (example.Labels[i] == TrainingExample.IgnoredLabel) continue;
                sum -= logs[0, i - 1, example.Labels[i]].ToDouble();
                count++;
            }
        }
        Assert.Equal(HeldOut.Examples.Sum(example => example.LearnedTokens), count);
        Assert.Equal(sum / count, found, 1e-6 * found);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Cancellation_between_two_steps_keeps_what_was_learned_and_the_mode(bool trainingBefore)
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        model.train(trainingBefore);
        double[] before = Numbers(lora);
        using var source = new CancellationTokenSource();
        var reports = new Reports(step => { if (step.Step == 3) source.Cancel(); });
        var trainer = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { Steps = 10 });
        Assert.Throws<OperationCanceledException>(() => trainer.Train(Data, progress: reports, cancellationToken: source.Token));
        Assert.Equal(3, reports.Count);
        Assert.Equal(trainingBefore, model.training);
        Assert.NotEqual(before, Numbers(lora));
        Assert.All(lora.TrainableParameters(), parameter => Assert.Null(parameter.grad));
        Assert.True(double.IsFinite(trainer.Evaluate(HeldOut, Token)));
        Assert.Equal(2, trainer.Train(Data, cancellationToken: Token).Steps.Take(2).Count()); // and it can go on
    }

    // 6 batches of 4: with 4 at a step, the second step takes the 2 that are left. What is beyond an epoch would be learned twice.
    [Theory]
    [InlineData(1, 4, 2, 1)]
    [InlineData(1, 6, 1, 1)]
    [InlineData(1, 50, 1, 1)]
    [InlineData(2, 5, 3, 2)]
    [InlineData(0.5, 2, 2, 0.5)]
    public void Every_example_is_seen_as_often_as_there_are_epochs(double epochs, int accumulation, int steps, double seen)
    {
        JsonlDataset even = TinyData.Read(null, [.. Enumerable.Range(0, 24).Select(i => $$"""{"prompt": "{{(char)('d' + i % 20)}}=", "completion": "{{(char)('d' + i % 20)}}."}""")]);
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        TrainingResult result = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { Epochs = epochs, BatchSize = 4, GradientAccumulation = accumulation }).Train(even, cancellationToken: Token);
        Assert.Equal(steps, result.Steps.Count);
        Assert.Equal((long)(seen * even.Examples.Sum(example => example.InputIds.Count)), result.Tokens);
    }

    [Fact]
    public void Examples_beyond_the_positions_of_the_model_are_remarked()
    {
        using LlamaModel model = TinyLlama.Make(TinyLlama.Config with { MaxPositions = 9 });
        using LoraModel<LlamaModel> lora = Wrap(model);
        int count = Data.Examples.Count(example => example.InputIds.Count > 9), first = Data.Examples.TakeWhile(example => example.InputIds.Count <= 9).Count() + 1;
        Assert.InRange(count, 2, 23);
        Assert.Equal(
            [$"{count} examples of {Data.Path}, the first of which is {first}, are longer than the 9 positions that the model was made for, with up to {Data.Examples.Max(example => example.InputIds.Count)} tokens."],
            new LoraTrainer<LlamaModel>(lora, new TrainingOptions { Steps = 1 }).Train(Data, Data, cancellationToken: Token).Remarks);
        // Texts that share a row have positions of their own.
        TrainingExample packed = TrainingExample.Pack([.. Data.Examples.Where(example => example.InputIds.Count <= 9).Take(3)]);
        Assert.True(packed.InputIds.Count > 9);
        Assert.Empty(new LoraTrainer<LlamaModel>(lora, new TrainingOptions { Steps = 1 }).Train(new CausalObjective(), new TrainingData<TrainingExample>("packed", [packed]), cancellationToken: Token).Remarks);
    }
}
