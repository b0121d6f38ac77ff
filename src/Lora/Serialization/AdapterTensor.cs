using static TorchSharp.torch;

namespace Lora.Serialization;

/// <summary>A tensor of an adapter's file, under the key that PEFT gives it.</summary>
/// <param name="source">The file.</param>
/// <param name="entry">The tensor in it.</param>
/// <param name="key">PEFT's key, with the prefix.</param>
internal sealed class AdapterTensor(SafetensorsSource source, SafetensorsEntry entry, string key)
{
    internal string Key { get; } = key;

    /// <summary>The name in the file, for messages.</summary>
    internal string Name => entry.Name;

    internal SafetensorsType Type => entry.Type;

    /// <summary>The bytes that it takes in the file.</summary>
    internal long ByteCount => entry.ByteCount;

    /// <summary>The shape that the adapter has to have.</summary>
    internal IReadOnlyList<long> Shape { get; init; } = entry.Shape;

    /// <summary>What the file's numbers are multiplied by.</summary>
    internal double Factor { get; init; } = 1;

    /// <summary>Makes the tensor of <see cref="Shape"/> out of the file's, where that has another; null where it is taken as it is.</summary>
    internal Func<Tensor, Tensor>? Convert { get; init; }

    internal bool IsFinite => FiniteNumbers.Are(source, entry);

    /// <summary>Reads the tensor in the file's type, without the factor; it belongs to the current dispose scope.</summary>
    internal Tensor Read() => Convert is null ? source.ReadTensor(entry.Name) : Convert(source.ReadTensor(entry.Name));

    /// <summary>Copies the numbers into a tensor of the same shape, whose device and type they take on.</summary>
    internal void CopyTo(Tensor target)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        if (Convert is null) source.CopyTo(entry.Name, target);
        else target.copy_(Read());
        if (Factor != 1) target.mul_(Factor);
    }

    /// <summary>Copies the numbers into a tensor of the same shape, whose type they take on.</summary>
    /// <param name="target">The tensor.</param>
    /// <param name="stored">The numbers as they are in the file, one behind the other, on the tensor's device.</param>
    internal void CopyTo(Tensor target, Tensor stored)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor shaped = stored.view([.. entry.Shape]);
        target.copy_(Convert is null ? shaped : Convert(shaped));
        if (Factor != 1) target.mul_(Factor);
    }

    /// <summary>Copies the file's bytes to the beginning of others, of which there are enough, and returns those behind them.</summary>
    internal Span<byte> CopyBytesTo(Span<byte> bytes)
    {
        source.GetBytes(entry.Name).CopyTo(bytes);
        return bytes[(int)entry.ByteCount..];
    }

    /// <summary>Whether all numbers are zero.</summary>
    internal bool IsZero()
    {
        using var scope = NewDisposeScope();
        return Read().count_nonzero().item<long>() == 0;
    }
}
