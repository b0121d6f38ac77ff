using BenchmarkDotNet.Attributes;

namespace Lora.Benchmarks;

/// <summary>
/// DoRA on one linear layer against plain LoRA, forward and backward: 512 tokens, 1024 → 1024 features, rank 16, float32. By operations counted alone DoRA adds the product
/// W·Aᵀ, 1.5 % of the layer's own work; the rest is passes over the output.
/// </summary>
public class DoraBenchmarks
{
    private DoraLinear _layers = null!;

    [GlobalSetup]
    public void SetUp() => _layers = new DoraLinear(512, 1024, 1024, rank: 16);

    [GlobalCleanup]
    public void CleanUp() => _layers.Dispose();

    [Benchmark(Description = "frozen layer")]
    public void Base() => _layers.Base();

    [Benchmark(Baseline = true, Description = "LoRA")]
    public void Lora() => _layers.Lora();

    [Benchmark(Description = "DoRA")]
    public void Dora() => _layers.Dora();
}
