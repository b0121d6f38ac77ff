using System.Text.Json;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>One golden folder: its description, its tensors, and the comparison with them.</summary>
internal sealed class GoldenCase : IDisposable
{
    private readonly JsonDocument _document;
    private readonly SafetensorsFile _tensors;
    private readonly Dictionary<string, Tensor> _computed = [];
    private string _run = "";

    public GoldenCase(string name)
    {
        Name = name;
        _document = JsonDocument.Parse(File.ReadAllBytes(PathOf("case.json")));
        _tensors = SafetensorsFile.Open(PathOf("io.safetensors"));
    }

    public string Name { get; }

    public JsonElement Json => _document.RootElement;

    public IEnumerable<JsonElement> Runs => Json.GetProperty("runs").EnumerateArray();

    /// <summary>How many tensors have been compared.</summary>
    public int Compared { get; private set; }

    public string PathOf(string file) => GoldenFolder.PathOf(Name, file);

    /// <summary>The names in io.safetensors that begin so and go on with a number, in the numbers' order.</summary>
    public IEnumerable<string> NamesOf(string beginning) => _tensors.Entries.Select(entry => entry.Name)
        .Where(name => name.StartsWith(beginning, StringComparison.Ordinal) && int.TryParse(name.AsSpan(beginning.Length), out _))
        .OrderBy(name => int.Parse(name.AsSpan(beginning.Length), System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>A tensor of io.safetensors, on the tests' device.</summary>
    public Tensor Read(string name) => _tensors.ReadTensor(name, TestDevice.Current);

    /// <summary>Begins a run, under whose name what it computes is written when LORA_GOLDEN_OUT asks for it.</summary>
    public void Begin(string run)
    {
        Flush();
        _run = run;
    }

    /// <summary>Compares a computed tensor with the one of that name: |a − b| ≤ atol + rtol · |b|, only where <paramref name="mask"/> is 1.</summary>
    public void Compare(string name, Tensor actual, JsonElement tolerance, string? mask = null)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor expected = Read(name);
        Assert.True(expected.shape.SequenceEqual(actual.shape), $"{Name}, {_run}: {name} has the shape [{string.Join(", ", actual.shape)}], expected [{string.Join(", ", expected.shape)}].");
        Tensor difference = actual.to(ScalarType.Float64).sub(expected.to(ScalarType.Float64)).abs();
        Tensor allowed = expected.to(ScalarType.Float64).abs().mul(tolerance.GetProperty("rtol").GetDouble()).add(tolerance.GetProperty("atol").GetDouble());
        // Written so that a NaN is an excess.
        Tensor excess = difference.le(allowed).logical_not();
        if (mask is not null)
        {
            Tensor where = Read(mask).to(ScalarType.Bool);
            while (where.dim() < excess.dim()) where = where.unsqueeze(-1);
            excess = excess.logical_and(where);
        }
        Assert.True(excess.any().item<bool>() == false, $"{Name}, {_run}: {name} differs by up to {difference.max().item<double>():G4}, {excess.sum().item<long>()} of {excess.numel()} elements beyond the tolerance.");
        Compared++;
        Keep(name, actual);
    }

    /// <summary>Compares token ids exactly.</summary>
    public void CompareIds(string name, Tensor actual)
    {
        using var scope = NewDisposeScope();
        Assert.Equal(Read(name).cpu().data<long>().ToArray(), actual.cpu().data<long>().ToArray());
        Compared++;
        Keep(name, actual);
    }

    public void Dispose()
    {
        Flush();
        _tensors.Dispose();
        _document.Dispose();
    }

    private void Keep(string name, Tensor actual)
    {
        if (!string.IsNullOrEmpty(Environment.GetEnvironmentVariable("LORA_GOLDEN_OUT")))
            _computed[name] = actual.detach().cpu().clone().DetachFromDisposeScope();
    }

    private void Flush()
    {
        if (_computed.Count == 0) return;
        string folder = Path.Combine(Environment.GetEnvironmentVariable("LORA_GOLDEN_OUT")!, Name);
        Directory.CreateDirectory(folder);
        SafetensorsWriter.Save(Path.Combine(folder, $"{_run}.safetensors"), _computed);
        foreach (Tensor tensor in _computed.Values) tensor.Dispose();
        _computed.Clear();
    }
}
