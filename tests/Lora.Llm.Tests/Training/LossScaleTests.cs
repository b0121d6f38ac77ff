using Lora.Llm.Tests.Data;
using Lora.Llm.Tests.Models;
using Lora.Tests;
using TorchSharp;
using static Lora.Llm.Tests.Training.TinyTraining;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training;

/// <summary>The trainer with a dynamic loss scale.</summary>
[Collection(Alone.Name)]
public sealed class LossScaleTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly JsonlDataset Data = TinyData.Copying(24);
    private static readonly TrainingOptions Plain = new() { Steps = 20, BatchSize = 6, LearningRate = 1e-2 };

    [Fact]
    public void A_model_in_float16_trains_and_a_scale_that_is_a_power_of_two_changes_nothing_in_float32()
    {
        double[] plain = Losses(ScalarType.Float32, Plain), scaled = Losses(ScalarType.Float32, Plain with { LossScale = 1024 });
        Assert.Equal(plain, scaled);
        double[] half = Losses(ScalarType.Float16, Plain with { LossScale = 1024 });
        Assert.True(half[^1] < 0.8 * half[0], $"{half[0]} to {half[^1]}");
        for (int i = 0; i < 20; i++) Assert.Equal(plain[i], half[i], 0.03 * plain[i]);

        static double[] Losses(ScalarType type, TrainingOptions options)
        {
            using LlamaModel model = TinyLlama.Make(dataType: type);
            using LoraModel<LlamaModel> lora = Wrap(model);
            TrainingResult result = new LoraTrainer<LlamaModel>(lora, options).Train(Data, cancellationToken: Token);
            Assert.Equal(0, result.SkippedSteps);
            return [.. result.Steps.Select(step => step.Loss)];
        }
    }

    [Fact]
    public void Steps_whose_gradients_overflow_are_left_out_counted_and_part_of_the_checkpoint()
    {
        using var folder = new TemporaryFolder();
        TrainingOptions high = Plain with { LossScale = Math.ScaleB(1, 31), LossScaleInterval = 3 };
        (TrainingResult whole, double[] numbers) = Run(high with { Checkpoints = new CheckpointOptions(folder["whole"]) { Interval = 2 } });
        const int skipped = 4;
        Assert.Equal(skipped, whole.Steps.TakeWhile(step => step.IsSkipped).Count());
        Assert.Equal(whole.Steps.Count(step => step.IsSkipped), whole.SkippedSteps);
        // Each overflow halves the scale, and three good steps double it.
        for (int i = 0; i <= skipped; i++) Assert.Equal(Math.ScaleB(1, 31 - i), whole.Steps[i].LossScale);
        Assert.Equal(Math.ScaleB(1, 31 - skipped + 1), whole.Steps[skipped + 3].LossScale);
        Assert.True(double.IsFinite(whole.Steps[skipped].GradientNorm) && !double.IsFinite(whole.Steps[0].GradientNorm));
        Assert.True(whole.SkippedSteps > skipped); // it rises until it is too high again

        // Killed among the skips, it goes on with the scale that it had come to.
        using var source = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Run(high with { Checkpoints = new CheckpointOptions(folder["parts"]) { Interval = 2 } }, source));
        (TrainingResult rest, double[] again) = Run(high with { Checkpoints = new CheckpointOptions(folder["parts"]) { Interval = 2 } });
        Assert.Equal(2, rest.ResumedFrom);
        Assert.Equal(whole.SkippedSteps, rest.SkippedSteps);
        Assert.Equal(whole.Steps.Skip(2).Select(step => (step.Loss, step.LossScale, step.IsSkipped)), rest.Steps.Select(step => (step.Loss, step.LossScale, step.IsSkipped)));
        Assert.Equal(numbers, again);
    }

    [Fact]
    public void A_training_that_only_overflows_stops_with_the_reason()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        double[] before = Numbers(lora);
        var trainer = new LoraTrainer<LlamaModel>(lora, Plain with { Steps = 100, LossScale = 65536 });
        // 0 with a gradient that is infinite times 0.
        var hopeless = new Changed(loss => loss.add(lora.TrainableParameters()[0].mul(0).sqrt().sum()));
        var error = Assert.Throws<TrainingGuardException>(() => trainer.Train(hopeless, Data, cancellationToken: Token));
        Assert.Equal("The gradients overflowed at 25 steps in a row, the last of which is step 25, although the loss scale has fallen to 0.001953125: the model does not compute in Float32, or the learning rate (0.01) is too high.", error.Message);
        Assert.Equal((TrainingGuards.FiniteNumbers, 25), (error.Guard, error.Step));
        Assert.Equal(before, Numbers(lora));
    }

    // Its square overflows in the norm, which no scale helps against.
    [Fact]
    public void Gradients_that_are_finite_and_have_no_finite_norm_stop_as_without_a_scale()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model, Config with { Alpha = 1e37 }, randomB: false);
        var error = Assert.Throws<TrainingGuardException>(() => new LoraTrainer<LlamaModel>(lora, Plain with { LossScale = 1 }).Train(Data, cancellationToken: Token));
        Assert.Equal("The norm of the gradients of step 1 is Infinity: lower the learning rate (0.01), or check the data and the model. The adapter was not changed by this step.", error.Message);
    }

    private static (TrainingResult Result, double[] Numbers) Run(TrainingOptions options, CancellationTokenSource? cancelled = null)
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        var reports = new Reports(step => { if (step.Step == 3) cancelled?.Cancel(); });
        // The gradient in between is 2^100 times the scale, which float32 holds below 2^28.
        var narrow = new Changed(loss => loss.mul(Math.ScaleB(1, -100)).mul(Math.ScaleB(1, 100)));
        return (new LoraTrainer<LlamaModel>(lora, options).Train(narrow, Data, progress: reports, cancellationToken: cancelled?.Token ?? Token), Numbers(lora));
    }

    /// <summary>The loss of texts, with something done to it.</summary>
    private sealed class Changed(Func<Tensor, Tensor> change) : TrainingObjective<TrainingExample>
    {
        private readonly CausalObjective _inner = new();

        public override string Name => "changed";

        public override IReadOnlyList<TrainingExample> TextsOf(TrainingExample example) => _inner.TextsOf(example);

        public override double WeightOf(TrainingExample example) => _inner.WeightOf(example);

        public override ObjectiveValue Compute(ObjectiveContext context, IReadOnlyList<TrainingExample> batch, double weight)
        {
            ObjectiveValue value = _inner.Compute(context, batch, weight);
            return value with { Loss = change(value.Loss) };
        }
    }
}
