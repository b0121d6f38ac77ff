using System.Text;

namespace Lora.Tests.Export.Gguf;

/// <summary>Writes the bytes of GGUF files by hand, whole or broken.</summary>
internal sealed class GgufBytes
{
    private readonly List<byte> _bytes;

    public GgufBytes(ulong tensors = 0, ulong pairs = 0, uint version = 3)
    {
        _bytes = [.. "GGUF"u8];
        Number(version).Number(tensors).Number(pairs);
    }

    public GgufBytes Text(string text) => Number((ulong)Encoding.UTF8.GetByteCount(text)).Raw(Encoding.UTF8.GetBytes(text));

    public GgufBytes Number(ulong number) => Raw(BitConverter.GetBytes(number));

    public GgufBytes Number(uint number) => Raw(BitConverter.GetBytes(number));

    public GgufBytes Raw(params ReadOnlySpan<byte> bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    /// <summary>A row of the table of tensors; sizes in the file's order.</summary>
    public GgufBytes Tensor(string name, uint type, ulong offset, params ulong[] sizes)
    {
        Text(name).Number((uint)sizes.Length);
        foreach (ulong size in sizes) Number(size);
        return Number(type).Number(offset);
    }

    public GgufBytes Pad(int alignment = 32) => Raw(new byte[(alignment - _bytes.Count % alignment) % alignment]);

    public byte[] ToArray() => [.. _bytes];
}
