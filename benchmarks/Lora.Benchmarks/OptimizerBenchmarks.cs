using BenchmarkDotNet.Attributes;
using Lora.Optimization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks;

/// <summary>One step of AdamW over the small matrices of many layers: one after the other, and in one buffer.</summary>
[MemoryDiagnoser]
public class OptimizerBenchmarks
{
    private readonly List<Parameter> _separate = [], _together = [];
    private AdamW _many = null!;
    private FlatAdamW _one = null!;

    /// <summary>How many matrices of 8×1024 there are; a model of 8 billion parameters has 448 pairs' halves.</summary>
    [Params(64, 448)]
    public int Matrices { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        set_num_threads(1);
        foreach (List<Parameter> parameters in (List<Parameter>[])[_separate, _together])
        {
            for (int i = 0; i < Matrices; i++)
            {
                var parameter = new Parameter(randn(8, 1024));
                parameter.grad = randn(8, 1024);
                parameters.Add(parameter);
            }
        }
        _many = optim.AdamW(_separate, 1e-4, weight_decay: 0.01);
        _one = new FlatAdamW(_together, 1e-4, weightDecay: 0.01);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _many.Dispose();
        _one.Dispose();
        foreach (Parameter parameter in _separate.Concat(_together)) parameter.Dispose();
    }

    [Benchmark(Baseline = true)]
    public void AdamW() => _many.step();

    [Benchmark]
    public void FlatAdamW() => _one.step();
}
