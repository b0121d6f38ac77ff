using System.Collections.Immutable;

namespace Lora.Serialization;

/// <summary>One tensor of a safetensors file, as the file's header describes it.</summary>
public sealed class SafetensorsEntry
{
    internal SafetensorsEntry(string name, SafetensorsType type, ImmutableArray<long> shape, long begin, long end)
    {
        Name = name;
        Type = type;
        Shape = shape;
        Begin = begin;
        End = end;
    }

    /// <summary>The tensor's name, unique in its file.</summary>
    public string Name { get; }

    /// <summary>The type of its elements.</summary>
    public SafetensorsType Type { get; }

    /// <summary>The sizes of its dimensions; empty for a single number.</summary>
    public ImmutableArray<long> Shape { get; }

    /// <summary>Where its first byte lies, counted from the end of the header.</summary>
    public long Begin { get; }

    /// <summary>Where the byte behind its last one lies, counted from the end of the header.</summary>
    public long End { get; }

    /// <summary>The number of bytes that it takes.</summary>
    public long ByteCount => End - Begin;

    /// <summary>Says name, type and shape, such as <c>w F32 [3, 4]</c>.</summary>
    public override string ToString() => $"{Name} {Type.ToFileName()} [{string.Join(", ", Shape)}]";
}
