using System.Runtime.InteropServices;
using System.Text.Json;

namespace Lora.LlamaCpp;

/// <summary>The tensors of a golden case.</summary>
internal sealed class GoldenTensors
{
    private readonly byte[] _bytes;
    private readonly int _start;
    private readonly JsonElement _header;

    internal GoldenTensors(string path)
    {
        _bytes = File.ReadAllBytes(path);
        int length = (int)BitConverter.ToInt64(_bytes);
        _start = 8 + length;
        _header = JsonDocument.Parse(_bytes.AsMemory(8, length)).RootElement;
    }

    /// <summary>The numbers of each row of the first dimension.</summary>
    internal T[][] Rows<T>(string name)
        where T : unmanaged
    {
        JsonElement entry = _header.GetProperty(name), offsets = entry.GetProperty("data_offsets");
        int begin = offsets[0].GetInt32(), end = offsets[1].GetInt32(), rows = entry.GetProperty("shape")[0].GetInt32();
        T[] all = MemoryMarshal.Cast<byte, T>(_bytes.AsSpan(_start + begin, end - begin)).ToArray();
        return [.. all.Chunk(all.Length / rows)];
    }
}
