using Lora.Fuzzing.Mutation;

namespace Lora.Fuzzing;

/// <summary>One reader: valid files for it, how they are damaged, and what it must keep to.</summary>
internal abstract class FuzzTarget : IDisposable
{
    private TreeMutator? _trees;

    /// <summary>What the command line calls it.</summary>
    internal abstract string Name { get; }

    /// <summary>What it reads.</summary>
    internal abstract string Reads { get; }

    internal abstract IReadOnlyList<FuzzSeed> Seeds { get; }

    /// <summary>Managed bytes that reading may allocate in all, whatever the file's size: buffers, exceptions with their stacks, tables.</summary>
    internal virtual long FloorBytes => 256 << 10;

    /// <summary>Managed bytes that reading may allocate in all for each byte of the file, above the floor. What is freed in between counts too.</summary>
    internal virtual int BytesPerByte => 48;

    /// <summary>Reads one input. An exception of the reader is let through.</summary>
    /// <param name="seed">What the input was made of.</param>
    /// <param name="input">The damaged file.</param>
    internal abstract void Read(FuzzSeed seed, byte[] input);

    /// <summary>Whether an exception is one that the reader documents for damaged files.</summary>
    internal virtual bool IsRejection(Exception exception) => exception is AdapterFormatException or InvalidDataException;

    /// <summary>What every message must hold: the file's name.</summary>
    internal abstract string PlaceName { get; }

    /// <summary>Damages a seed. A target of another form than JSON has its own way.</summary>
    internal virtual byte[] Mutate(FuzzSeed seed, FuzzRandom random) => random.OneIn(4)
        ? ByteMutator.Mutate(seed.Bytes, random.Pick(Seeds).Bytes, random)
        : (_trees ??= new TreeMutator(Seeds)).Mutate(seed, random);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
    }
}
