using BenchmarkDotNet.Attributes;

namespace Lora.Benchmarks;

/// <summary>One adapter for each row of a batch: 8 adapters of rank 16, 1024 → 1024 features, float32, forward. What counts is what is added to the base layer.</summary>
public class MixedBatchBenchmarks
{
    private MixedBatch _batch = null!;

    /// <summary>The rows of the batch.</summary>
    [Params(64, 512)]
    public int Rows { get; set; }

    /// <summary>Whether the adapters come in a random order, instead of in turns.</summary>
    [Params(false, true)]
    public bool Shuffled { get; set; }

    [GlobalSetup]
    public void SetUp() => _batch = new MixedBatch(Rows, 1024, 1024, rank: 16, adapters: 8, Shuffled);

    [GlobalCleanup]
    public void CleanUp() => _batch.Dispose();

    [Benchmark(Description = "base layer")]
    public void Base() => _batch.Base();

    [Benchmark(Baseline = true, Description = "loop over the adapters")]
    public void Loop() => _batch.Loop();

    [Benchmark(Description = "UsePerSample")]
    public void PerSample() => _batch.PerSample();

    [Benchmark(Description = "UsePerSample, scope included")]
    public void PerSampleInNewScope() => _batch.PerSampleInNewScope();
}
