using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks;

/// <summary>Saving and loading an adapter of 16 layers, 1024 wide, rank 16 (2 MiB) against writing and reading as many bytes.</summary>
[GroupBenchmarksBy(BenchmarkLogicalGroupRule.ByCategory)]
[CategoriesColumn]
public class SerializationBenchmarks
{
    private const int Layers = 16;
    private const int Width = 1024;
    private const int Rank = 16;

    private readonly byte[] _bytes = new byte[Layers * 2 * Width * Rank * sizeof(float)];
    private string _folder = null!;
    private Sequential _model = null!;
    private Sequential _base = null!;
    private LoraModel<Sequential> _lora = null!;

    private string RawFile => Path.Combine(_folder, "raw");

    private string Adapter => Path.Combine(_folder, "adapter");

    [GlobalSetup]
    public void SetUp()
    {
        _folder = Directory.CreateTempSubdirectory("lora-benchmarks-").FullName;
        _model = Stack();
        _base = Stack();
        _lora = LoraModel.Wrap(_model, LoraConfig.AllLinear(Rank, alpha: 32));
        _lora.Save(Adapter);
        File.WriteAllBytes(RawFile, _bytes);
    }

    [GlobalCleanup]
    public void CleanUp()
    {
        _lora.Dispose();
        _model.Dispose();
        _base.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Benchmark(Baseline = true, Description = "bytes"), BenchmarkCategory("save")]
    public void Save_Bytes() => File.WriteAllBytes(RawFile, _bytes);

    [Benchmark(Description = "adapter"), BenchmarkCategory("save")]
    public void Save_Adapter() => _lora.Save(Adapter);

    [Benchmark(Baseline = true, Description = "bytes"), BenchmarkCategory("load")]
    public int Load_Bytes() => File.ReadAllBytes(RawFile).Length;

    /// <summary>Includes attaching the 16 adapters to the model and taking them out again.</summary>
    [Benchmark(Description = "adapter"), BenchmarkCategory("load")]
    public int Load_Adapter()
    {
        using LoraModel<Sequential> loaded = LoraModel.Load(_base, Adapter);
        return loaded.Layers.Count;
    }

    private static Sequential Stack() =>
        nn.Sequential([.. Enumerable.Range(0, Layers).Select(i => ($"layer{i}", (nn.Module<Tensor, Tensor>)nn.Linear(Width, Width)))]);
}
