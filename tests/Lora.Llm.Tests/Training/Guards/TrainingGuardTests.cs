using Lora.Llm.Tests.Data;
using Lora.Llm.Tests.Models;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static Lora.Llm.Tests.Training.TinyTraining;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training.Guards;

public sealed class TrainingGuardTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly JsonlDataset Data = TinyData.Copying(12);
    private static readonly TrainingOptions Plain = new() { Steps = 3, BatchSize = 4, LearningRate = 1e-2 };

    [Fact]
    public void Examples_whose_loss_is_no_number_are_named()
    {
        using LlamaModel model = TinyLlama.Make();
        // Only texts with this token meet the broken row of the embedding.
        int token = Data.Examples.SelectMany(example => example.InputIds.Distinct()).GroupBy(id => id).MinBy(group => group.Count())!.Key;
        using (no_grad())
        using (NewDisposeScope())
            model.get_parameter("model.embed_tokens.weight")![token].fill_(float.PositiveInfinity);
        using LoraModel<LlamaModel> lora = Wrap(model);
        int[] bad = [.. Enumerable.Range(1, 12).Where(i => Data.Examples[i - 1].InputIds.Contains(token))];
        Assert.InRange(bad.Length, 1, 3);
        TrainingGuardException error = Stopped(lora, Plain with { GradientAccumulation = 3, GroupByLength = false });
        Assert.Equal((TrainingGuards.FiniteNumbers, 1), (error.Guard, error.Step));
        Assert.Matches($@"^The loss of step 1, batch [123] of 3 is NaN; these examples alone give that: [\d, ]+ of {System.Text.RegularExpressions.Regex.Escape(Data.Path)}\. Lower the learning rate \(0\.01\), or check the data and the model\. The adapter was not changed by this step\.$", error.Message);
        int[] named = [.. error.Message.Split("that: ")[1].Split(" of ")[0].Split(", ").Select(int.Parse)];
        Assert.All(named, place => Assert.Contains(place, bad));
    }

    [Fact]
    public void A_held_out_loss_that_is_no_number_stops()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        // B becomes infinite by the first step.
        TrainingOptions endless = Plain with { Optimizer = groups => optim.SGD(groups.SelectMany(group => group.Parameters), 1e38), MaxGradientNorm = 0 };
        var error = Assert.Throws<TrainingGuardException>(() => new LoraTrainer<LlamaModel>(lora, endless with { Steps = 1 }).Train(Data, Data, cancellationToken: Token));
        Assert.Equal($"The loss of the held-out examples of {Data.Path} is NaN after 1 steps: check the data and the model, or lower the learning rate (0.01).", error.Message);
        Assert.Equal((TrainingGuards.FiniteNumbers, 1), (error.Guard, error.Step));
    }

    [Fact]
    public void A_dead_start_is_refused()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model, randomB: false);
        Zero(lora, up: false);
        TrainingGuardException error = Stopped(lora, Plain);
        Assert.Equal("Adapter 'default' cannot learn: A and B are zero in all 14 pairs, and the gradient of each is zero while the other is. Start A at random, as every initialisation does, or load an adapter that has been trained.", error.Message);
        Assert.Equal((TrainingGuards.DeadStart, 0), (error.Guard, error.Step));
        // The next guard sees the same at the first step, and without both the training runs for nothing.
        Assert.Equal(TrainingGuards.Gradients, Stopped(lora, Plain with { Guards = TrainingGuards.All & ~TrainingGuards.DeadStart }).Guard);
        Run(lora, Plain with { Guards = TrainingGuards.All & ~TrainingGuards.DeadStart & ~TrainingGuards.Gradients });
        Assert.All(Numbers(lora), number => Assert.Equal(0, number));
    }

    [Fact]
    public void A_first_step_that_teaches_no_B_anything_stops()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model, Config with { Dropout = 1 });
        TrainingGuardException error = Stopped(lora, Plain);
        Assert.Equal(
            "Adapter 'default' learns nothing: at the first step the gradient of B is zero in all 14 pairs. Likely causes: A is zero, the dropout is 1, "
            + "no adapted layer reaches the loss (the targets are not those that the model uses), or the model computes under no_grad or detaches what it computes.", error.Message);
        Assert.Equal((TrainingGuards.Gradients, 1), (error.Guard, error.Step));
        Run(lora, Plain with { Guards = TrainingGuards.All & ~TrainingGuards.Gradients });
    }

    [Fact]
    public void Where_no_B_trains_the_gradient_of_A_counts()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        foreach (AdapterLayer layer in lora.Layers) layer.Layer.Adapter.B.requires_grad = false;
        Run(lora, Plain);
        Zero(lora, up: true);
        Assert.StartsWith("Adapter 'default' learns nothing: at the first step the gradient of A is zero in all 14 pairs. Likely causes: B is zero,", Stopped(lora, Plain).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_frozen_weight_that_changes_stops_at_the_next_look(int step)
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        Parameter frozen = model.get_parameter("model.norm.weight")!;
        var options = Plain with { Steps = 6, EvaluationInterval = 4 };
        TrainingGuardException error = Assert.Throws<TrainingGuardException>(() => Train(options));
        Assert.Equal(
            $"1 frozen weight changed up to step 4: 'model.norm.weight'. The adapter was trained over other weights than it will be loaded onto. Look for an optimizer over more than the adapter's parameters, and for code that writes or merges weights in training.",
            error.Message);
        Assert.Equal((TrainingGuards.FrozenWeights, 4), (error.Guard, error.Step));
        Assert.Equal(6, Train(options with { Guards = TrainingGuards.All & ~TrainingGuards.FrozenWeights }).Steps.Count);

        TrainingResult Train(TrainingOptions options) => new LoraTrainer<LlamaModel>(lora, options).Train(Data, Data, new Reports(reported =>
        {
            if (reported.Step != step) return;
            using var noGrad = no_grad();
            frozen.add_(1e-3);
        }), Token);
    }

    [Fact]
    public void An_optimizer_over_the_whole_model_is_found_out_at_the_first_step()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        var decaying = Plain with { Optimizer = _ => new Lora.Optimization.FlatAdamW(model.parameters(), 1e-2, weightDecay: 0.5) };
        TrainingGuardException error = Stopped(lora, decaying);
        Assert.StartsWith("21 frozen weights changed up to step 1: 'model.embed_tokens.weight', ", error.Message, StringComparison.Ordinal);
        Assert.Contains(", …. The adapter was trained over other weights", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_step_without_a_learned_token_stops_with_its_own_reason()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        // The first place is predicted by nothing.
        TrainingExample mute = new([3, 4, 5], [3, -100, -100]), one = new([3, 4, 5], [-100, 4, 5]);
        var trainer = new LoraTrainer<LlamaModel>(lora, Plain with { BatchSize = 2 });
        var error = Assert.Throws<TrainingGuardException>(() => trainer.Train(new CausalObjective(), new TrainingData<TrainingExample>("pairs", [mute, mute]), cancellationToken: Token));
        Assert.Equal("Step 1 has nothing to learn: none of its 2 examples (1, 1 of pairs) has a label behind its first place. Leave such examples out, or read the data with a larger MaxLength or with TrainOnPrompt.", error.Message);
        Assert.Equal((TrainingGuards.LearnedTokens, 1), (error.Guard, error.Step));
        // Beside one that teaches something it does no harm.
        Assert.Equal(3, trainer.Train(new CausalObjective(), new TrainingData<TrainingExample>("pairs", [mute, one]), cancellationToken: Token).Steps.Count);
        var silent = new LoraTrainer<LlamaModel>(lora, Plain with { Guards = TrainingGuards.None });
        Assert.All(silent.Train(new CausalObjective(), new TrainingData<TrainingExample>("pairs", [mute, mute]), cancellationToken: Token).Steps, step => Assert.Equal(0, step.Loss));
    }

    [Fact]
    public void An_adapter_that_is_not_active_is_neither_trained_nor_decayed()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        lora.AddAdapter("other", Config);
        using (no_grad())
            foreach ((_, Parameter parameter) in lora.AdapterTensors("other")) parameter.fill_(0.5);
        Run(lora, Plain with { WeightDecay = 0.5 });
        Assert.All(lora.AdapterTensors("other").SelectMany(tensor => TinyLlama.Values(tensor.Value)), number => Assert.Equal(0.5, number));
        lora.SetActive();
        Assert.Equal("No adapter is active, so training would reach none: make one active, of 'default', 'other'.", Assert.Throws<InvalidOperationException>(() => Run(lora, Plain)).Message);
    }

    private static TrainingGuardException Stopped(LoraModel<LlamaModel> lora, TrainingOptions options) => Assert.Throws<TrainingGuardException>(() => Run(lora, options));

    private static void Run(LoraModel<LlamaModel> lora, TrainingOptions options) => new LoraTrainer<LlamaModel>(lora, options).Train(Data, cancellationToken: Token);

    private static void Zero(LoraModel<LlamaModel> lora, bool up)
    {
        using var noGrad = no_grad();
        foreach (AdapterLayer layer in lora.Layers) (up ? layer.Layer.Adapter.B : layer.Layer.Adapter.A).zero_();
    }
}
