using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Nn;

[Collection(Alone.Name)]
public sealed class ModuleTests
{
    private static Sequential Small() => nn.Sequential(("table", nn.Embedding(4, 3)), ("a", nn.Linear(3, 3)), ("act", nn.ReLU()), ("b", nn.Linear(3, 2)));

    [Fact]
    public void DisposingLeavesNoHandle() =>
        Assert.Equal(0, LiveHandles.LeftBy(() =>
        {
            using Sequential module = Small();
            using Tensor rows = tensor(new long[] { 0, 3 });
            using (Tensor y = module.call(rows))
            using (Tensor sum = y.sum()) sum.backward();
            module.to(ScalarType.Float64).to(ScalarType.Float32);
            module.zero_grad();
        }));

    [Fact]
    public void ModuleOutsideAScopeWorksOnAfterTheScopeItWasMadeIn()
    {
        Sequential module;
        using (NewDisposeScope()) module = Small();
        using Tensor rows = tensor(new long[] { 0, 3 });
        using Tensor y = module.call(rows);
        Assert.Equal([2, 2], y.shape);
        module.Dispose();
    }

    [Fact]
    public void EmbeddingConvertsInPlaceAndTrains()
    {
        using Embedding table = nn.Embedding(4, 3, padding_idx: 1);
        Parameter listed = table.get_parameter("weight")!;
        table.to(ScalarType.Float64);
        Assert.False(listed.IsInvalid);
        Assert.Equal(ScalarType.Float64, listed.dtype);
        using (Tensor rows = tensor(new long[] { 1, 2 }))
        using (Tensor y = table.call(rows))
        using (Tensor sum = y.sum()) sum.backward();
        using Tensor gradient = listed.grad!;
        Assert.Equal([0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0], gradient.data<double>().ToArray());
        using Tensor padding = listed.select(0, 1);
        Assert.Equal([0, 0, 0], padding.data<double>().ToArray());
    }

    [Fact]
    public void LinearStartsWithinTheBoundOfItsInputs()
    {
        using Linear half = nn.Linear(64, 64, dtype: ScalarType.Float16), single = nn.Linear(64, 64);
        foreach (Linear linear in new[] { half, single })
        {
            using Tensor numbers = linear.weight.to(ScalarType.Float32);
            float[] values = numbers.data<float>().ToArray();
            Assert.InRange(values.Max(), 0.12f, 0.1251f);
            Assert.InRange(values.Min(), -0.1251f, -0.12f);
        }
    }

    [Fact]
    public void FileOfATensorIsWhatLibtorchReads()
    {
        string file = Path.GetTempFileName();
        try
        {
            using (Tensor t = tensor(new[] { 1f, 2f })) t.save(file);
            Assert.Equal("PK"u8.ToArray(), File.ReadAllBytes(file)[..2]);
            using Tensor read = Tensor.load(file);
            Assert.Equal([1f, 2f], read.data<float>().ToArray());
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void LoadingWithoutStrictnessTakesWhatTheFileHas()
    {
        using Linear from = nn.Linear(2, 2, hasBias: false), into = nn.Linear(2, 2);
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        from.save(writer);
        stream.Position = 0;
        var loaded = new Dictionary<string, bool>();
        into.load(stream, strict: false, loadedParameters: loaded);
        Assert.Equal(["weight"], loaded.Keys);
        Assert.True(into.weight.allclose(from.weight));
    }
}
