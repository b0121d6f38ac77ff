using Lora.Export.Gguf;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Cli.Files;

/// <summary>Anything that holds tensors by name: a safetensors file, a model's or an adapter's folder, a GGUF file.</summary>
internal abstract class TensorFile : IDisposable
{
    /// <summary>What it is, in words.</summary>
    internal abstract string Kind { get; }

    /// <summary>What it says beside its tensors, in order.</summary>
    internal abstract IReadOnlyDictionary<string, string> Notes { get; }

    internal abstract IReadOnlyList<TensorRow> Rows { get; }

    /// <summary>Opens a file or folder by what is in it.</summary>
    /// <exception cref="FileNotFoundException">There is nothing of that name, or nothing that is known.</exception>
    internal static TensorFile Open(string path)
    {
        if (Directory.Exists(path))
        {
            if (File.Exists(Path.Combine(path, PeftAdapterConfig.FileName))) return new AdapterTensors(path);
            if (File.Exists(Path.Combine(path, "config.json")) || File.Exists(Path.Combine(path, "model.safetensors")) || File.Exists(Path.Combine(path, "model.safetensors.index.json"))) return new ModelTensors(path);
            throw new FileNotFoundException($"'{path}' holds neither an adapter ({PeftAdapterConfig.FileName}) nor a model (config.json, model.safetensors).", path);
        }
        if (!File.Exists(path)) throw new FileNotFoundException($"There is no file or folder '{path}'.", path);
        using (FileStream stream = File.OpenRead(path))
        {
            Span<byte> mark = stackalloc byte[4];
            if (stream.ReadAtLeast(mark, 4, throwOnEndOfStream: false) == 4 && mark.SequenceEqual("GGUF"u8)) return new GgufTensors(path);
        }
        return path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? new GgufTensors(path) : new SafetensorsTensors(SafetensorsSource.Open(path), "safetensors file");
    }

    /// <summary>Reads the numbers of a tensor, float64, into the current dispose scope; null where they cannot be read in this type.</summary>
    internal abstract Tensor? Read(string name);

    /// <summary>Looks at some of the bytes of a tensor.</summary>
    internal abstract ReadOnlySpan<byte> Bytes(string name, long start, int count);

    public abstract void Dispose();
}

/// <summary>One tensor of a file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The name of its type.</param>
/// <param name="Shape">Its shape, in torch's order.</param>
/// <param name="ByteCount">How many bytes it takes.</param>
internal sealed record TensorRow(string Name, string Type, IReadOnlyList<long> Shape, long ByteCount)
{
    internal long Count => Shape.Aggregate(1L, (product, size) => product * size);

    internal string ShapeText => $"[{string.Join(", ", Shape)}]";
}

/// <summary>A GGUF file.</summary>
internal sealed class GgufTensors(string path) : TensorFile
{
    private const int ItemsShown = 4;
    private readonly GgufFile _file = GgufFile.Open(path);

    internal override string Kind => $"GGUF file of version {_file.Version}";

    internal override IReadOnlyDictionary<string, string> Notes => _file.Metadata.ToDictionary(pair => pair.Key, pair => Text(pair.Value));

    /// <summary>The metadata as they are.</summary>
    internal IReadOnlyDictionary<string, object> Metadata => _file.Metadata;

    internal override IReadOnlyList<TensorRow> Rows => [.. _file.Entries.Select(entry => new TensorRow(entry.Name, entry.Type.ToFileName(), entry.Shape, entry.ByteCount))];

    internal override Tensor? Read(string name) => _file.TryGetEntry(name, out GgufEntry? entry) && entry.Type.HasCodec() ? _file.ReadTensor(name).to(ScalarType.Float64) : null;

    internal override ReadOnlySpan<byte> Bytes(string name, long start, int count) => _file.GetBytes(name, start, count);

    public override void Dispose() => _file.Dispose();

    private static string Text(object value) => value switch
    {
        Array array => $"{array.Length} × {array.GetType().GetElementType()!.Name}: {string.Join(", ", array.Cast<object>().Take(ItemsShown).Select(Text))}{(array.Length > ItemsShown ? ", …" : "")}",
        IFormattable number => number.ToString(null, System.Globalization.CultureInfo.InvariantCulture),
        _ => value.ToString()!,
    };
}

/// <summary>A safetensors file, or several with their index.</summary>
internal class SafetensorsTensors(SafetensorsSource source, string kind) : TensorFile
{
    internal override string Kind => kind;

    internal override IReadOnlyDictionary<string, string> Notes => source.Metadata;

    internal override IReadOnlyList<TensorRow> Rows => [.. source.Entries.Select(entry => new TensorRow(entry.Name, entry.Type.ToFileName(), entry.Shape, entry.ByteCount))];

    internal override Tensor? Read(string name) =>
        source.TryGetEntry(name, out SafetensorsEntry? entry) && entry.Type.ToScalarType() is not (null or ScalarType.ComplexFloat32) ? source.ReadTensor(name).to(ScalarType.Float64) : null;

    internal override ReadOnlySpan<byte> Bytes(string name, long start, int count) => source.GetBytes(name, start, count);

    public override void Dispose() => source.Dispose();
}

/// <summary>An adapter's folder in PEFT's form.</summary>
internal sealed class AdapterTensors(string folder) : SafetensorsTensors(SafetensorsFile.Open(Path.Combine(folder, "adapter_model.safetensors")), "adapter in PEFT's form")
{
    internal PeftAdapterConfig Config { get; } = PeftAdapterConfig.Load(Path.Combine(folder, PeftAdapterConfig.FileName));

    internal override IReadOnlyDictionary<string, string> Notes => Config.Fields.ToDictionary(entry => entry.Key, entry => entry.Value.GetRawText());
}

/// <summary>A model's folder in Hugging Face form.</summary>
internal sealed class ModelTensors(string folder) : SafetensorsTensors(SafetensorsSource.Open(folder), "model in Hugging Face form")
{
    internal override IReadOnlyDictionary<string, string> Notes { get; } = NotesOf(Path.Combine(folder, "config.json"));

    private static Dictionary<string, string> NotesOf(string file)
    {
        if (!File.Exists(file)) return [];
        try
        {
            using var document = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(file));
            if (document.RootElement.ValueKind != System.Text.Json.JsonValueKind.Object) throw new InvalidDataException($"'{file}' should hold a JSON object.");
            return document.RootElement.EnumerateObject().ToDictionary(field => field.Name, field => field.Value.GetRawText().ReplaceLineEndings(" "));
        }
        catch (System.Text.Json.JsonException exception)
        {
            throw new InvalidDataException($"'{file}' is not valid JSON: {exception.Message}", exception);
        }
    }
}
