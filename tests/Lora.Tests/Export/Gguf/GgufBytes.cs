using System.Text;

namespace Lora.Tests.Export.Gguf;

/// <summary>Writes the bytes of GGUF files by hand, whole or broken.</summary>
internal sealed class GgufBytes
{
    private readonly MemoryStream _stream = new();
    private readonly BinaryWriter _writer;

    public GgufBytes(ulong tensors = 0, ulong pairs = 0, uint version = 3)
    {
        _writer = new BinaryWriter(_stream);
        _writer.Write("GGUF"u8);
        _writer.Write(version);
        _writer.Write(tensors);
        _writer.Write(pairs);
    }

    public GgufBytes Text(string text) => Number((ulong)Encoding.UTF8.GetByteCount(text)).Raw(Encoding.UTF8.GetBytes(text));

    public GgufBytes Number(ulong number) => Do(() => _writer.Write(number));

    public GgufBytes Number(uint number) => Do(() => _writer.Write(number));

    public GgufBytes Raw(params ReadOnlySpan<byte> bytes)
    {
        _writer.Write(bytes);
        return this;
    }

    /// <summary>A row of the table of tensors; sizes in the file's order.</summary>
    public GgufBytes Tensor(string name, uint type, ulong offset, params ulong[] sizes)
    {
        Text(name).Number((uint)sizes.Length);
        foreach (ulong size in sizes) Number(size);
        return Number(type).Number(offset);
    }

    public GgufBytes Pad(int alignment = 32) => Raw(new byte[(alignment - (int)(_stream.Length % alignment)) % alignment]);

    public byte[] ToArray() => _stream.ToArray();

    private GgufBytes Do(Action write)
    {
        write();
        return this;
    }
}
