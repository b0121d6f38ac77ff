using Lora.Export.Gguf;
using Lora.Fuzzing.Mutation;
using Lora.Fuzzing.Running;
using static TorchSharp.torch;

namespace Lora.Fuzzing.Targets;

/// <summary>GGUF files: what stands before the data, and all tensors of those that are accepted.</summary>
internal sealed class GgufTarget : FuzzTarget
{
    private readonly ScratchFolder _folder = new();
    private readonly ScratchFile _file;

    internal GgufTarget() => _file = new ScratchFile(_folder["model.gguf"]);

    internal override string Name => "gguf";

    internal override string Reads => "GgufFile.Open on a file, and of those accepted ReadTensor of every tensor whose type has a codec, and the bytes of the others";

    internal override IReadOnlyList<FuzzSeed> Seeds { get; } = [.. GgufSeeds.Make()];

    internal override string PlaceName => _file.Path;

    internal override bool IsRejection(Exception exception) => exception is AdapterFormatException;

    internal override byte[] Mutate(FuzzSeed seed, FuzzRandom random) => random.OneIn(2) ? GgufSeeds.Arranged(random) : ByteMutator.Mutate(seed.Bytes, random.Pick(Seeds).Bytes, random);

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        _file.Write(input);
        using GgufFile file = GgufFile.Open(_file.Path);
        if (file.Alignment < 8) throw new InvalidOperationException($"The alignment is {file.Alignment}.");
        foreach (GgufEntry entry in file.Entries)
        {
            if (file.GetBytes(entry.Name, 0, (int)entry.ByteCount).Length != entry.ByteCount) throw new InvalidOperationException($"Tensor '{entry.Name}' has not all its bytes.");
            if (!entry.Type.HasCodec()) continue;
            using Tensor tensor = file.ReadTensor(entry.Name);
            if (!tensor.shape.AsSpan().SequenceEqual(entry.Shape.AsSpan())) throw new InvalidOperationException($"Tensor '{entry.Name}' has another shape than its entry.");
        }
    }

    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        _folder.Dispose();
        base.Dispose(disposing);
    }
}
