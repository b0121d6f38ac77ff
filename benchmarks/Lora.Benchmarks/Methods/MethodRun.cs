using System.Diagnostics;
using Lora.Initialization;
using Lora.Llm;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Methods;

/// <summary>One training by one method from one seed: the same batches for every method.</summary>
internal sealed class MethodRun : IDisposable
{
    private readonly MethodData _data;
    private readonly LlamaModel _model;
    private readonly LoraModel<LlamaModel>? _lora;
    private readonly optim.Optimizer _optimizer;
    private readonly double _rate;
    private readonly int _seed;

    internal MethodRun(Method method, MethodData data, double rate, int seed)
    {
        (_data, _rate, _seed) = (data, rate, seed);
        random.manual_seed(seed);
        _model = LlamaModel.FromPretrained(data.ModelFolder);
        if (method.Configure is not null)
        {
            LoraConfig common = LoraConfig.AllLinear(rank: 8, alpha: 16);
            _lora = LoraModel.Wrap(_model, method.Configure(common, Calibration()));
        }
        _optimizer = _lora is not null && method.Optimizer is not null ? method.Optimizer(_lora, rate) : optim.AdamW(Trainable(), rate);
        TrainableParameters = Trainable().Sum(parameter => parameter.numel());
    }

    /// <summary>How many numbers are trained.</summary>
    internal long TrainableParameters { get; }

    /// <summary>What AdamW keeps of them: two numbers of float32 for each.</summary>
    internal long StateBytes => TrainableParameters * 2 * sizeof(float);

    /// <summary>Takes the steps from one to another and returns the median seconds of one.</summary>
    internal double Train(int from, int to, int total)
    {
        _model.train();
        var seconds = new List<double>();
        for (int step = from; step < to; step++)
        {
            long start = Stopwatch.GetTimestamp();
            foreach (optim.ILearningRateController group in _optimizer.ParamGroups) group.LearningRate = group.InitialLearningRate * (1 - ((double)step / total));
            Step(step);
            seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        seconds.Sort();
        return seconds.Count == 0 ? 0 : seconds[seconds.Count / 2];
    }

    /// <summary>The mean loss over the learned tokens of examples, in nats.</summary>
    internal double Evaluate(IReadOnlyList<TrainingExample> examples)
    {
        _model.eval();
        using var noGrad = no_grad();
        double sum = 0, count = 0;
        foreach (TrainingExample[] part in examples.OrderBy(example => example.InputIds.Count).Chunk(32))
        {
            using var scope = NewDisposeScope();
            using TrainingBatch batch = TrainingBatch.Collate(part, 0, CPU);
            sum += Loss(batch, 1).ToDouble();
            count += batch.LearnedTokens;
        }
        return sum / count;
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        _lora?.Dispose();
        _model.Dispose();
    }

    private IReadOnlyList<Parameter> Trainable() => _lora?.TrainableParameters() ?? [.. _model.parameters()];

    private void Step(int step)
    {
        using var scope = NewDisposeScope();
        _optimizer.zero_grad();
        using TrainingBatch batch = _data.Batch(_seed, step);
        Loss(batch, batch.LearnedTokens).backward();
        nn.utils.clip_grad_norm_(Trainable(), 1);
        _optimizer.step();
    }

    private Tensor Loss(TrainingBatch batch, double tokens) =>
        CausalLoss.Compute(_model.call(new CausalInput(batch.InputIds) { AttentionMask = batch.AttentionMask }), batch.Labels, tokens);

    // The first batches of the training.
    private CalibrationPass[] Calibration() =>
    [
        .. Enumerable.Range(0, 8).Select(step => new CalibrationPass(() =>
        {
            using var scope = NewDisposeScope();
            using TrainingBatch batch = _data.Batch(_seed, step);
            Tensor loss = Loss(batch, batch.LearnedTokens);
            if (loss.requires_grad) loss.backward();
        })),
    ];
}
