using Lora.Fuzzing.Mutation;
using Lora.Fuzzing.Running;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Fuzzing.Targets;

/// <summary>Safetensors files: the header's rules, and all tensors of those that are accepted.</summary>
internal sealed class SafetensorsTarget : FuzzTarget
{
    // Larger files say no more, and cost more.
    private const int LargestSeed = 8 << 10;
    private const int TensorsRead = 16;

    private readonly ScratchFolder _folder = new();
    private readonly ScratchFile _file;
    private readonly SafetensorsMutator _damages;

    internal SafetensorsTarget()
    {
        _file = new ScratchFile(_folder["model.safetensors"]);
        Seeds =
        [
            .. Golden.Files("a0*", "adapter_model.safetensors").Concat(Golden.Files("b3*", "adapter_model.safetensors")).Where(seed => seed.Bytes.Length <= LargestSeed).Take(12),
            .. SafetensorsSeeds.Make(),
        ];
        _damages = new SafetensorsMutator(Seeds);
    }

    internal override string Name => "safetensors";

    internal override string Reads => "SafetensorsSource.Open on a file, and of those accepted ReadTensor of every tensor, whose bytes are compared";

    internal override IReadOnlyList<FuzzSeed> Seeds { get; }

    internal override string PlaceName => _file.Path;

    internal override byte[] Mutate(FuzzSeed seed, FuzzRandom random) => random.OneIn(4) ? SafetensorsSeeds.Arranged(random) : _damages.Mutate(seed, random);

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        _file.Write(input);
        using SafetensorsSource source = SafetensorsSource.Open(_file.Path);
        foreach (SafetensorsEntry entry in source.Entries.Take(TensorsRead))
        {
            ReadOnlySpan<byte> bytes = source.GetBytes(entry.Name);
            if (entry.Type.ToScalarType() is null) continue;
            using Tensor tensor = source.ReadTensor(entry.Name);
            if (!tensor.shape.AsSpan().SequenceEqual(entry.Shape.AsSpan())) throw new InvalidOperationException($"Tensor '{entry.Name}' has another shape than its entry.");
            if (bytes.Length > 0 && !bytes.SequenceEqual(tensor.bytes)) throw new InvalidOperationException($"Tensor '{entry.Name}' has other bytes than its file.");
        }
    }

    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        _folder.Dispose();
        base.Dispose(disposing);
    }
}
