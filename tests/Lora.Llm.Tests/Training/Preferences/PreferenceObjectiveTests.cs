using Lora.Llm.Tests.Data;
using Lora.Llm.Tests.Models;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static Lora.Llm.Tests.Training.TinyTraining;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training.Preferences;

public sealed class PreferenceObjectiveTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly PreferenceDataset Data = TinyPreferences.Copying(11);

    public static TheoryData<PreferenceOptions> Options =>
    [
        new PreferenceOptions(), new PreferenceOptions { Beta = 0.7 }, new PreferenceOptions { Beta = 0.7, LabelSmoothing = 0.2 }, new PreferenceOptions { Beta = 0.4, Kind = PreferenceKind.Ipo },
    ];

    [Theory]
    [MemberData(nameof(Options))]
    public void Loss_and_metrics_are_those_of_the_restatement(PreferenceOptions options)
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using LoraModel<LlamaModel> lora = Wrap(model);
        using var scope = NewDisposeScope();
        (PreferenceObjective objective, ObjectiveContext context) = Prepared(lora, options);
        ObjectiveValue value = objective.Compute(context, Data.Examples, 13);
        Restatement wanted = Restated(lora, options);
        Assert.Equal(wanted.Loss / 13, value.Loss.ToDouble(), 1e-12 * wanted.Loss);
        Assert.Equal(wanted.Chosen / 13, value.Metrics["rewards/chosen"], 1e-10);
        Assert.Equal(wanted.Rejected / 13, value.Metrics["rewards/rejected"], 1e-10);
        Assert.Equal((wanted.Chosen - wanted.Rejected) / 13, value.Metrics["rewards/margin"], 1e-10);
        Assert.Equal(wanted.Right / 13.0, value.Metrics["rewards/accuracy"], 1e-12);
        (double Chosen, double Rejected)[] logs = [.. Data.Examples.Select(example => (LogProbability(model, example.Chosen), LogProbability(model, example.Rejected)))];
        Assert.Equal(logs.Sum(pair => pair.Chosen) / 13, value.Metrics["logps/chosen"], 1e-10);
        Assert.Equal(logs.Sum(pair => pair.Rejected) / 13, value.Metrics["logps/rejected"], 1e-10);
        Assert.Equal(logs.Count(pair => pair.Chosen > pair.Rejected) / 13.0, value.Metrics["logps/accuracy"], 1e-12);
        Assert.InRange(wanted.Right, 1, Data.Examples.Count - 1);
        Assert.Equal(Data.Examples.Sum(example => example.Chosen.InputIds.Count + example.Rejected.InputIds.Count), value.Tokens);
        Assert.Empty(value.Loss.shape);
    }

    [Theory]
    [MemberData(nameof(Options))]
    public void The_gradient_is_that_of_finite_differences(PreferenceOptions options)
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using LoraModel<LlamaModel> lora = Wrap(model);
        using var scope = NewDisposeScope();
        (PreferenceObjective objective, ObjectiveContext context) = Prepared(lora, options);
        objective.Compute(context, Data.Examples, 11).Loss.backward();
        const double h = 1e-6;
        foreach (Parameter parameter in lora.TrainableParameters().Where((_, i) => i % 5 == 0))
        {
            double[] gradient = TinyLlama.Values(parameter.grad!);
            double largest = gradient.Max(Math.Abs);
            Assert.True(largest > 1e-6);
            for (int place = 0; place < gradient.Length; place += 17)
            {
                using var noGrad = no_grad();
                using Tensor flat = parameter.view(-1);
                double at = flat[place].ToDouble();
                double Moved(double by)
                {
                    flat[place].fill_(at + by);
                    double loss = Restated(lora, options).Loss / 11;
                    flat[place].fill_(at);
                    return loss;
                }
                Assert.Equal((Moved(h) - Moved(-h)) / (2 * h), gradient[place], 1e-6 * largest);
            }
        }
    }

    [Fact]
    public void A_fresh_adapter_has_no_rewards_and_however_a_step_is_cut_the_gradients_are_the_same()
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using (LoraModel<LlamaModel> fresh = Wrap(model, randomB: false))
        using (NewDisposeScope())
        {
            (PreferenceObjective start, ObjectiveContext at) = Prepared(fresh, new PreferenceOptions());
            ObjectiveValue value = start.Compute(at, Data.Examples, 11);
            Assert.Equal(Math.Log(2), value.Loss.ToDouble(), 1e-13);
            Assert.All(value.Metrics.Where(metric => metric.Key.StartsWith("rewards/", StringComparison.Ordinal)), metric => Assert.Equal(0, metric.Value, 1e-12));
        }
        using LoraModel<LlamaModel> lora = Wrap(model);
        (PreferenceObjective objective, ObjectiveContext context) = Prepared(lora, new PreferenceOptions());
        double[] Cut(params IReadOnlyList<PreferenceExample>[] parts)
        {
            using var scope = NewDisposeScope();
            model.zero_grad();
            foreach (IReadOnlyList<PreferenceExample> part in parts) objective.Compute(context, part, 11).Loss.backward();
            return Gradients(lora);
        }
        double[] whole = Cut(Data.Examples), cut = Cut([.. Data.Examples.Take(1)], [.. Data.Examples.Skip(1).Take(7)], [.. Data.Examples.Skip(8)]);
        double largest = whole.Max(Math.Abs);
        for (int i = 0; i < whole.Length; i++) Assert.Equal(whole[i], cut[i], 1e-13 * largest);
    }

    [Fact]
    public void What_cannot_be_is_refused()
    {
        Assert.Equal(
            "Preferences cannot be learned so:\n  - Kind must be one of its names, but is 5.\n  - Beta must be above 0, but is 0.\n  - LabelSmoothing must be at least 0 and below 0.5, but is 0.5.\n  - ReferenceBatchSize must be at least 1, but is 0.",
            Assert.Throws<ArgumentException>(() => new PreferenceObjective(new PreferenceOptions { Kind = (PreferenceKind)5, Beta = 0, LabelSmoothing = 0.5, ReferenceBatchSize = 0 })).Message);
        Assert.Equal("Preferences cannot be learned so:\n  - LabelSmoothing is of Sigmoid alone, but Kind is Ipo.", Assert.Throws<ArgumentException>(() => new PreferenceObjective(new PreferenceOptions { Kind = PreferenceKind.Ipo, LabelSmoothing = 0.1 })).Message);
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        Assert.Equal(
            "The reference's log-probabilities of a preference are not known: call Prepare with all examples first.",
            Assert.Throws<InvalidOperationException>(() => new PreferenceObjective().Compute(ObjectiveContext.Of(lora, 0), Data.Examples, 1)).Message);
        var packing = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { PackedLength = 64 });
        Assert.Equal("Examples of the objective 'preference' cannot share a row: leave PackedLength out.", Assert.Throws<ArgumentException>(() => packing.Train(new PreferenceObjective(), Data, cancellationToken: Token)).Message);
    }

    private static (PreferenceObjective Objective, ObjectiveContext Context) Prepared(LoraModel<LlamaModel> lora, PreferenceOptions options)
    {
        var objective = new PreferenceObjective(options);
        ObjectiveContext context = ObjectiveContext.Of(lora, padTokenId: 0);
        using var noGrad = no_grad();
        objective.Prepare(context, Data.Examples, Token);
        return (objective, context);
    }

    private sealed record Restatement(double Loss, double Chosen, double Rejected, int Right);

    // One text at a time, from the logits, in float64.
    private static Restatement Restated(LoraModel<LlamaModel> lora, PreferenceOptions options)
    {
        double loss = 0, chosen = 0, rejected = 0;
        int right = 0;
        foreach (PreferenceExample example in Data.Examples)
        {
            double better = Gain(example.Chosen), worse = Gain(example.Rejected), h = better - worse;
            chosen += options.Beta * better;
            rejected += options.Beta * worse;
            if (better > worse) right++;
            loss += options.Kind == PreferenceKind.Ipo
                ? Math.Pow(h - 1 / (2 * options.Beta), 2)
                : (1 - options.LabelSmoothing) * Math.Log(1 + Math.Exp(-options.Beta * h)) + options.LabelSmoothing * Math.Log(1 + Math.Exp(options.Beta * h));
        }
        return new Restatement(loss, chosen, rejected, right);

        double Gain(TrainingExample text)
        {
            double adapted = LogProbability(lora.Model, text);
            using (lora.Disable()) return adapted - LogProbability(lora.Model, text);
        }
    }

    private static double LogProbability(LlamaModel model, TrainingExample text)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor logits = model.call(tensor(text.InputIds.Select(id => (long)id).ToArray(), [1, text.InputIds.Count], device: TestDevice.Current));
        double[] scores = TinyLlama.Values(logits);
        int width = (int)logits.shape[2];
        double sum = 0;
        for (int i = 1; i < text.Labels.Count; i++)
        {
            if (text.Labels[i] == TrainingExample.IgnoredLabel) continue;
            double[] row = scores[((i - 1) * width)..(i * width)];
            sum += row[text.Labels[i]] - Math.Log(row.Sum(Math.Exp));
        }
        return sum;
    }
}
