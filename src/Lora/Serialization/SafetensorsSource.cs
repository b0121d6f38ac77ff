using System.Diagnostics.CodeAnalysis;
using static TorchSharp.torch;

namespace Lora.Serialization;

/// <summary>Tensors by name, out of one safetensors file or out of a checkpoint that is spread over several.</summary>
/// <remarks>Reading from several threads is safe; disposing while one of them reads is not.</remarks>
public abstract class SafetensorsSource : IDisposable
{
    private protected SafetensorsSource(string path) => Path = path;

    /// <summary>The file or index that was opened.</summary>
    public string Path { get; }

    /// <summary>The tensors, in the order of the file.</summary>
    public abstract IReadOnlyCollection<SafetensorsEntry> Entries { get; }

    /// <summary>The file's own remarks, such as <c>format</c>.</summary>
    public abstract IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a <c>.safetensors</c> file, a <c>.safetensors.index.json</c>, or the folder of a model that holds one of them under its usual name.</summary>
    /// <param name="path">The file or folder.</param>
    /// <returns>The opened source; dispose it when done.</returns>
    /// <exception cref="FileNotFoundException">There is no such file, or the folder holds neither <c>model.safetensors.index.json</c> nor <c>model.safetensors</c>.</exception>
    /// <exception cref="AdapterFormatException">The file breaks the format's rules.</exception>
    public static SafetensorsSource Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (Directory.Exists(path))
        {
            string index = System.IO.Path.Combine(path, "model.safetensors.index.json");
            path = File.Exists(index) ? index : System.IO.Path.Combine(path, "model.safetensors");
        }

        return path.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? SafetensorsFolder.Open(path) : SafetensorsFile.Open(path);
    }

    /// <summary>Looks up a tensor's description.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="entry">Its description, where it exists.</param>
    /// <returns>Whether there is a tensor of that name.</returns>
    public abstract bool TryGetEntry(string name, [NotNullWhen(true)] out SafetensorsEntry? entry);

    /// <summary>Looks at the bytes of one tensor, in the file's little-endian order.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <returns>The bytes. They lie in the mapped file: don't use them after it was disposed.</returns>
    /// <exception cref="KeyNotFoundException">There is no tensor of that name.</exception>
    /// <exception cref="InvalidOperationException">The tensor has more bytes than a span can hold (2 GiB); read it in parts.</exception>
    /// <exception cref="ObjectDisposedException">The source was disposed.</exception>
    public ReadOnlySpan<byte> GetBytes(string name)
    {
        long count = GetEntry(name).ByteCount;
        return count <= int.MaxValue
            ? GetBytes(name, 0, (int)count)
            : throw new InvalidOperationException($"Tensor '{name}' has {count} bytes, more than one span can hold: read it in parts.");
    }

    /// <summary>Looks at some of the bytes of one tensor, in the file's little-endian order.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="start">The first byte, counted from the tensor's own first.</param>
    /// <param name="count">The number of bytes.</param>
    /// <returns>The bytes. They lie in the mapped file: don't use them after it was disposed.</returns>
    /// <exception cref="KeyNotFoundException">There is no tensor of that name.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The range reaches beyond the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The source was disposed.</exception>
    public abstract ReadOnlySpan<byte> GetBytes(string name, long start, int count);

    /// <summary>Reads one tensor.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="device">Where the tensor shall lie; the CPU where null.</param>
    /// <returns>A new tensor of the file's shape and type; the caller owns it.</returns>
    /// <exception cref="KeyNotFoundException">There is no tensor of that name.</exception>
    /// <exception cref="AdapterFormatException">The tensor is of a type that torch lacks.</exception>
    /// <exception cref="ObjectDisposedException">The source was disposed.</exception>
    public Tensor ReadTensor(string name, Device? device = null) => SafetensorsTensorReader.Read(this, GetEntry(name), device);

    /// <summary>Reads one tensor into another, whose device and type it takes on.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="destination">A tensor of exactly the same shape. It may lie on any device and have any strides.</param>
    /// <exception cref="KeyNotFoundException">There is no tensor of that name.</exception>
    /// <exception cref="ArgumentException"><paramref name="destination"/> has another shape.</exception>
    /// <exception cref="AdapterFormatException">The tensor is of a type that torch lacks.</exception>
    /// <exception cref="ObjectDisposedException">The source was disposed.</exception>
    public void CopyTo(string name, Tensor destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        SafetensorsTensorReader.CopyTo(this, GetEntry(name), destination);
    }

    /// <summary>Closes the file or files.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    private protected abstract void Dispose(bool disposing);

    private SafetensorsEntry GetEntry(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return TryGetEntry(name, out SafetensorsEntry? entry) ? entry : throw new KeyNotFoundException($"{Path} holds no tensor '{name}'.");
    }
}
