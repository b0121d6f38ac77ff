using System.Collections.Immutable;

namespace Lora.Export.Gguf;

/// <summary>One tensor of a GGUF file, as the file's table describes it.</summary>
public sealed class GgufEntry
{
    internal GgufEntry(string name, GgufType type, ImmutableArray<long> shape, long offset, long byteCount)
    {
        Name = name;
        Type = type;
        Shape = shape;
        Offset = offset;
        ByteCount = byteCount;
    }

    /// <summary>The tensor's name, unique in its file.</summary>
    public string Name { get; }

    /// <summary>The type of its numbers.</summary>
    public GgufType Type { get; }

    /// <summary>The sizes of its dimensions in torch's order, rows first. The file has them the other way round.</summary>
    public ImmutableArray<long> Shape { get; }

    /// <summary>Where its first byte lies, counted from the beginning of the data.</summary>
    public long Offset { get; }

    /// <summary>The number of bytes that it takes, without padding.</summary>
    public long ByteCount { get; }

    /// <summary>Says name, type and shape, such as <c>token_embd.weight Q8_0 [512, 64]</c>.</summary>
    public override string ToString() => $"{Name} {Type.ToFileName()} [{string.Join(", ", Shape)}]";
}
