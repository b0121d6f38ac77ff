using System.Diagnostics;
using Lora.Llm;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace PretrainBase;

/// <summary>Trains all weights of a fresh model to predict the next token.</summary>
internal sealed class Pretraining(CausalLanguageModel model, int batch, int steps, double rate, int seed)
{
    private const int WarmupSteps = 50;

    // The first texts are a third as long, and three times as many make a batch.
    private const double FirstShare = 0.25;
    private const int FirstBatch = 3;

    /// <summary>Draws the examples at random, as many as the steps need.</summary>
    internal void Train(IReadOnlyList<TrainingExample> first, IReadOnlyList<TrainingExample> then)
    {
        var random = new Random(seed);
        var clock = Stopwatch.StartNew();
        using var optimizer = optim.AdamW(model.parameters(), rate, beta2: 0.98, weight_decay: 0.05);
        model.train();
        Spread();
        double average = 0;
        for (int step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            double share = step < WarmupSteps ? (step + 1.0) / WarmupSteps : 0.5 * (1 + Math.Cos(Math.PI * (step - WarmupSteps) / Math.Max(1, steps - WarmupSteps)));
            foreach (optim.ILearningRateController group in optimizer.ParamGroups) group.LearningRate = rate * share;
            bool isFirst = step < FirstShare * steps;
            IReadOnlyList<TrainingExample> from = isFirst ? first : then;
            TrainingExample[] examples = [.. Enumerable.Range(0, isFirst ? FirstBatch * batch : batch).Select(_ => from[random.Next(from.Count)])];
            using TrainingBatch drawn = TrainingBatch.Collate(examples, padTokenId: 0);
            Tensor loss = CausalLoss.Compute(model.call(drawn.InputIds), drawn.Labels);
            optimizer.zero_grad();
            loss.backward();
            nn.utils.clip_grad_norm_(model.parameters(), 1);
            optimizer.step();
            average = step == 0 ? loss.item<float>() : 0.95 * average + 0.05 * loss.item<float>();
            if ((step + 1) % 50 == 0 || step + 1 == steps)
                Console.WriteLine(FormattableString.Invariant($"step {step + 1,5}/{steps}  loss {average:F3}  {clock.Elapsed:m\\:ss}"));
        }
        model.eval();
    }

    /// <summary>The mean loss a token, in nats.</summary>
    internal double Loss(IReadOnlyList<TrainingExample> examples)
    {
        using var noGrad = no_grad();
        double sum = 0;
        foreach (TrainingExample[] part in examples.Chunk(batch))
        {
            using var scope = NewDisposeScope();
            using TrainingBatch some = TrainingBatch.Collate(part, padTokenId: 0);
            sum += CausalLoss.Compute(model.call(some.InputIds), some.Labels, learnedTokens: 1).item<float>();
        }
        return sum / examples.Sum(example => example.LearnedTokens);
    }

    // N(0, 0.02²) suits wide models. In one as narrow as this, attention would begin all but uniform and take long to look at anything: 1/√in instead.
    private void Spread()
    {
        using var noGrad = no_grad();
        foreach ((string name, Parameter parameter) in model.named_parameters())
            if (name.EndsWith("_proj.weight", StringComparison.Ordinal) || name.Contains(".c_", StringComparison.Ordinal) && parameter.dim() == 2)
                nn.init.normal_(parameter, 0, 1 / Math.Sqrt(parameter.shape[name.Contains(".c_", StringComparison.Ordinal) ? 0 : 1]));
    }
}
