using Lora.Llm.Tests.Data;
using Lora.Llm.Tests.Models;
using TorchSharp;
using static Lora.Llm.Tests.Training.TinyTraining;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training;

public sealed class LoraTrainerErrorTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly JsonlDataset Data = TinyData.Copying(8);

    [Fact]
    public void An_adapter_that_cannot_train_is_refused()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        var trainer = new LoraTrainer<LlamaModel>(lora);
        lora.SetTrainable(false);
        Refuse("Adapter 'default' has no parameter that requires gradients: call SetTrainable(true) first.");
        lora.SetTrainable(true);
        using (lora.Disable()) Refuse("Adapter 'default' is disabled, so training would not reach it.");
        lora.Merge();
        Refuse("Adapter 'default' is merged, so training would not reach it.");
        Assert.True(double.IsFinite(trainer.Evaluate(Data, Token))); // merged weights can be evaluated
        lora.Unmerge();
        lora.Unload();
        Assert.Throws<ObjectDisposedException>(() => trainer.Train(Data, cancellationToken: Token));

        void Refuse(string text) => Assert.Equal(text, Assert.Throws<InvalidOperationException>(() => trainer.Train(Data, cancellationToken: Token)).Message);
    }

    [Fact]
    public void A_loss_that_is_no_number_stops_before_the_adapter_changes()
    {
        using LlamaModel model = TinyLlama.Make();
        using (no_grad()) model.get_parameter("lm_head.weight")!.fill_(float.NaN);
        using LoraModel<LlamaModel> lora = Wrap(model);
        double[] before = Numbers(lora);
        var trainer = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { LearningRate = 0.5, Steps = 3 });
        var reports = new Reports();
        var error = Assert.Throws<TrainingGuardException>(() => trainer.Train(Data, progress: reports, cancellationToken: Token));
        Assert.Equal($"The loss of step 1 is NaN; every example alone gives that (1, 2, 3, 4, 5, 6, 7, 8 of {Data.Path}). Lower the learning rate (0.5), or check the data and the model. The adapter was not changed by this step.", error.Message);
        Assert.Equal((TrainingGuards.FiniteNumbers, 1), (error.Guard, error.Step));
        Assert.Equal(before, Numbers(lora));
        Assert.Empty(reports);
        Assert.False(model.training);
    }

    // With B = 0 the loss does not see the scale, but the gradient of B is multiplied by it.
    [Fact]
    public void A_gradient_that_overflows_stops_before_the_adapter_changes()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model, Config with { Alpha = 1e37 }, randomB: false);
        double[] before = Numbers(lora);
        var trainer = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { LearningRate = 1e-3, Steps = 3 });
        var error = Assert.Throws<TrainingGuardException>(() => trainer.Train(Data, cancellationToken: Token));
        Assert.Equal("The norm of the gradients of step 1 is Infinity: lower the learning rate (0.001), or check the data and the model. The adapter was not changed by this step.", error.Message);
        Assert.Equal(before, Numbers(lora));
    }

    [Fact]
    public void Tokens_beyond_the_vocabulary_are_named()
    {
        using LlamaModel model = TinyLlama.Make(TinyLlama.Config with { VocabularySize = 28 });
        using LoraModel<LlamaModel> lora = Wrap(model);
        const string text = "Example 1 of {0} holds the token 28, but the model's vocabulary has 28 tokens: read the data with the model's own tokenizer. (Parameter 'data')";
        var trainer = new LoraTrainer<LlamaModel>(lora);
        Assert.Equal(string.Format(null, text, Data.Path), Assert.Throws<ArgumentException>(() => trainer.Train(Data, cancellationToken: Token)).Message);
        Assert.Equal(string.Format(null, text, Data.Path), Assert.Throws<ArgumentException>(() => trainer.Evaluate(Data, Token)).Message);
        var padding = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { PadTokenId = 28 });
        Assert.Equal("PadTokenId is 28, but the model's vocabulary has 28 tokens.", Assert.Throws<ArgumentException>(() => padding.Train(Data, cancellationToken: Token)).Message);
    }

    [Fact]
    public void Examples_that_are_none_are_named()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        var trainer = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { Steps = 1 });
        TrainingExample good = new([1, 2, 3], [1, 2, 3]);
        Refuse("has no token: leave it out", new TrainingExample([], []));
        Refuse("has 3 tokens, but 2 labels", new TrainingExample([1, 2, 3], [1, 2]));
        Refuse("holds the token -5, but tokens are counted from 0", new TrainingExample([1, -5, 3], [1, 2, 3]));
        Refuse("has 3 tokens, so its Starts must begin with 0 and rise to at most 2, but are []", good with { Starts = [] });
        Refuse("has 3 tokens, so its Starts must begin with 0 and rise to at most 2, but are [0, 3]", good with { Starts = [0, 3] });
        Refuse("has 3 tokens, so its Starts must begin with 0 and rise to at most 2, but are [0, 2, 1]", good with { Starts = [0, 2, 1] });
        Refuse("has 3 tokens, so its Starts must begin with 0 and rise to at most 2, but are [1, 2]", good with { Starts = [1, 2] });
        Refuse("is null or has no text", null!);
        trainer.Train(new CausalObjective(), new TrainingData<TrainingExample>("mine", [good with { Starts = [0, 1] }]), cancellationToken: Token);

        void Refuse(string text, TrainingExample bad)
        {
            var data = new TrainingData<TrainingExample>("mine", [good, bad]);
            Assert.Equal($"Example 2 of mine {text}. (Parameter 'data')", Assert.Throws<ArgumentException>(() => trainer.Train(new CausalObjective(), data, cancellationToken: Token)).Message);
            if (bad is not null) Assert.Equal($"An example {text}. (Parameter 'examples')", Assert.Throws<ArgumentException>(() => TrainingBatch.Collate([good, bad], 0)).Message);
        }
    }

    // Otherwise it would be told somewhere in the middle, by the batch that holds one.
    [Fact]
    public void Examples_beyond_learned_positions_are_refused_before_anything_is_trained()
    {
        using Gpt2Model model = TinyLlama.Filled(new Gpt2Model(new Gpt2Config { VocabularySize = 37, HiddenSize = 20, InnerSize = 24, Layers = 1, Heads = 5, MaxPositions = 10 }));
        using LoraModel<Gpt2Model> lora = LoraModel.Wrap(model, Config);
        int first = Data.Examples.TakeWhile(example => example.InputIds.Count <= 10).Count() + 1, count = Data.Examples.Count(example => example.InputIds.Count > 10);
        Assert.Equal((4, 2), (first, count));
        Assert.Equal(
            $"2 examples of {Data.Path}, the first of which is 4, are longer than the 10 positions that the model was made for, with up to 12 tokens: read the data with a smaller MaxLength. (Parameter 'data')",
            Assert.Throws<ArgumentException>(() => new LoraTrainer<Gpt2Model>(lora, new TrainingOptions { BatchSize = 1 }).Train(Data, cancellationToken: Token)).Message);
    }

    [Fact]
    public void Training_where_gradients_are_off_says_so()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        using var noGrad = no_grad();
        Assert.Equal(
            "Gradients are switched off here, as by no_grad or inference_mode: train outside of it.",
            Assert.Throws<InvalidOperationException>(() => new LoraTrainer<LlamaModel>(lora).Train(Data, cancellationToken: Token)).Message);
    }

    [Fact]
    public void Options_out_of_range_are_listed()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        var options = new TrainingOptions
        {
            Steps = 0,
            BatchSize = 0,
            GradientAccumulation = 0,
            LearningRate = 0,
            WarmupSteps = -1,
            Schedule = (ScheduleKind)7,
            WeightDecay = -0.5,
            MaxGradientNorm = double.NaN,
            EvaluationBatchSize = 0,
            EvaluationInterval = -1,
            PadTokenId = -1,
        };
        var error = Assert.Throws<ArgumentException>(() => new LoraTrainer<LlamaModel>(lora, options));
        Assert.Equal(
            """
            The training cannot start:
              - Steps must be at least 1, but is 0.
              - BatchSize must be at least 1, but is 0.
              - GradientAccumulation must be at least 1, but is 0.
              - LearningRate must be above 0, but is 0.
              - WarmupSteps must be 0 or above, but is -1.
              - Schedule must be one of its names, but is 7.
              - WeightDecay must be 0 or above, but is -0.5.
              - MaxGradientNorm must be 0 or above, but is NaN.
              - EvaluationBatchSize must be at least 1, but is 0.
              - EvaluationInterval must be 0 or above, but is -1.
              - PadTokenId must be 0 or above, but is -1.
            """.ReplaceLineEndings("\n"),
            error.Message);
        Assert.Equal("The training cannot start:\n  - Epochs must be above 0, but is 0.", Assert.Throws<ArgumentException>(new TrainingOptions { Epochs = 0 }.Validate).Message);
    }

    [Fact]
    public void Options_that_do_not_go_together_are_listed()
    {
        var options = new TrainingOptions
        {
            UpRatio = 0,
            LossScale = double.PositiveInfinity,
            LossScaleInterval = 0,
            Guards = (TrainingGuards)64,
            EarlyStopping = new EarlyStopping(0, -1),
            Checkpoints = new CheckpointOptions(" ") { Interval = 0, KeepLast = 0, KeepBest = false },
            LoadBestAtEnd = true,
        };
        Assert.Equal(
            """
            The training cannot start:
              - UpRatio must be above 0, but is 0.
              - LossScale must be above 0 and a number of float32, but is Infinity.
              - LossScaleInterval must be at least 1, but is 0.
              - Guards must be of All, but is 64.
              - EarlyStopping.Patience must be at least 1, but is 0.
              - EarlyStopping.MinDelta must be 0 or above, but is -1.
              - EvaluationInterval must be at least 1 with EarlyStopping, but is 0.
              - Checkpoints.Folder must be a folder, but is ' '.
              - Checkpoints.Interval must be at least 1, but is 0.
              - Checkpoints.KeepLast must be at least 1, but is 0.
              - LoadBestAtEnd needs Checkpoints that keep the best.
            """.ReplaceLineEndings("\n"),
            Assert.Throws<ArgumentException>(options.Validate).Message);
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        var trainer = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { EvaluationInterval = 1, EarlyStopping = new EarlyStopping(1) });
        Assert.Equal("EarlyStopping needs held-out examples, but there are none: give some as the evaluation.", Assert.Throws<ArgumentException>(() => trainer.Train(Data, cancellationToken: Token)).Message);
        Assert.Equal("none holds no example. (Parameter 'data')", Assert.Throws<ArgumentException>(() => trainer.Train(new CausalObjective(), new TrainingData<TrainingExample>("none", []), cancellationToken: Token)).Message);
    }
}
