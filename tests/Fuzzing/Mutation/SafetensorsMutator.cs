using System.Buffers.Binary;
using Lora.Fuzzing.Targets;

namespace Lora.Fuzzing.Mutation;

/// <summary>Damages safetensors files: their bytes, their header's bytes, or the header's tree, behind whose length the data follow as they were.</summary>
internal sealed class SafetensorsMutator(IReadOnlyList<FuzzSeed> seeds)
{
    private readonly TreeMutator _headers = new(seeds, seed => JsonTree.Parse(Header(seed.Bytes)));

    internal byte[] Mutate(FuzzSeed seed, FuzzRandom random)
    {
        byte[] header = Header(seed.Bytes);
        ReadOnlySpan<byte> data = seed.Bytes.AsSpan(8 + header.Length);
        return random.Next(6) switch
        {
            0 or 1 => ByteMutator.Mutate(seed.Bytes, random.Pick(seeds).Bytes, random),
            2 => SafetensorsSeeds.File(ByteMutator.Mutate(header, Header(random.Pick(seeds).Bytes), random), data),
            _ => SafetensorsSeeds.File(_headers.Mutate(seed, random), data),
        };
    }

    private static byte[] Header(byte[] file) => file.AsSpan(8, (int)BinaryPrimitives.ReadUInt64LittleEndian(file)).ToArray();
}
