using System.Diagnostics;
using Lora.Llm;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Samples;

/// <summary>Trains parameters on numbered examples: what <see cref="LoraTrainer{TModel}"/> does for language models, in the few lines that other models need.</summary>
/// <param name="parameters">What is trained.</param>
/// <param name="loss">The mean loss of some examples.</param>
/// <param name="heldOutLoss">The mean loss of the held-out examples; null for none.</param>
internal sealed class ClassifierTraining(IReadOnlyList<Parameter> parameters, Func<int[], Tensor> loss, Func<double>? heldOutLoss = null)
{
    internal required int Examples { get; init; }

    internal required int Steps { get; init; }

    internal required int Batch { get; init; }

    internal required double Rate { get; init; }

    internal long Seed { get; init; } = 1;

    /// <summary>Sees every example once before any comes again. The rate rises for a tenth of the steps and falls by a cosine.</summary>
    internal TrainingResult Run(IProgress<TrainingStep> progress, CancellationToken cancellationToken)
    {
        using optim.Optimizer optimizer = optim.AdamW(parameters, Rate, weight_decay: 0);
        var random = new Random((int)Seed);
        var clock = Stopwatch.StartNew();
        var steps = new List<TrainingStep>();
        var order = new Queue<int>();
        double? before = heldOutLoss?.Invoke(), last = before;
        for (int step = 0; step < Steps; step++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach (optim.ILearningRateController group in optimizer.ParamGroups) group.LearningRate = RateAt(step);
            int[] batch = [.. Enumerable.Range(0, Math.Min(Batch, Examples)).Select(_ => Next(order, random))];
            (double value, double norm) = Step(optimizer, batch);
            double? held = step + 1 == Steps || (step + 1) % Math.Max(1, Steps / 10) == 0 ? heldOutLoss?.Invoke() : null;
            last = held ?? last;
            steps.Add(new TrainingStep(step + 1, Steps, value, RateAt(step), norm, batch.Length, clock.Elapsed, (step + 1) * batch.Length / clock.Elapsed.TotalSeconds, held));
            progress.Report(steps[^1]);
        }
        foreach (Parameter parameter in parameters) parameter.grad = null;
        return new TrainingResult(steps, before, last, (long)Steps * Math.Min(Batch, Examples), clock.Elapsed);
    }

    private double RateAt(int step)
    {
        double warmup = Math.Max(1, Steps / 10);
        return Rate * (step < warmup ? (step + 1) / warmup : 0.5 * (1 + Math.Cos(Math.PI * (step - warmup) / (Steps - warmup + 1))));
    }

    private (double Loss, double Norm) Step(optim.Optimizer optimizer, int[] batch)
    {
        using DisposeScope scope = NewDisposeScope();
        optimizer.zero_grad();
        Tensor value = loss(batch);
        value.backward();
        double norm = nn.utils.clip_grad_norm_(parameters, 1);
        optimizer.step();
        return (value.ToDouble(), norm);
    }

    private int Next(Queue<int> order, Random random)
    {
        if (order.Count == 0)
        {
            int[] all = [.. Enumerable.Range(0, Examples)];
            random.Shuffle(all);
            foreach (int example in all) order.Enqueue(example);
        }
        return order.Dequeue();
    }
}
