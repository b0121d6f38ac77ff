using System.Text.Json;
using Lora.Llm.Tokenization;

namespace Lora.Llm;

public sealed partial class HuggingFaceTokenizer
{
    private const string FileName = "tokenizer.json";
    private const string ConfigName = "tokenizer_config.json";

    /// <summary>Reads a <c>tokenizer.json</c>, and from a <c>tokenizer_config.json</c> beside it which tokens begin, end and fill up.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is damaged; the message says where.</exception>
    /// <exception cref="NotSupportedException">The file asks for something that this reader does not know; the message says where and what it knows.</exception>
    public static HuggingFaceTokenizer FromFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"There is no tokenizer file '{path}'. Pass the path of a {FileName}.", path);
        }

        string config = Path.Combine(Path.GetDirectoryName(path) ?? "", ConfigName);
        SpecialTokenNames names = File.Exists(config) ? SpecialTokenNames.FromFile(config) : new SpecialTokenNames();
        return Read(path, File.ReadAllBytes(path), names);
    }

    /// <summary>Reads the tokenizer of a model's folder.</summary>
    /// <param name="folder">The folder, which holds a <c>tokenizer.json</c>.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">The folder holds no <c>tokenizer.json</c>.</exception>
    /// <exception cref="InvalidDataException">The file is damaged; the message says where.</exception>
    /// <exception cref="NotSupportedException">The file asks for something that this reader does not know; the message says where and what it knows.</exception>
    public static HuggingFaceTokenizer FromFolder(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"There is no folder '{folder}'. Pass the folder of a model that holds a {FileName}.");
        }

        string path = Path.Combine(folder, FileName);
        return File.Exists(path)
            ? FromFile(path)
            : throw new FileNotFoundException(
                $"The folder '{folder}' holds no {FileName}. In Python, AutoTokenizer.from_pretrained(…).save_pretrained(…) writes one from other files.", path);
    }

    /// <summary>Reads a <c>tokenizer.json</c> from a stream, to its end. The stream stays open.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="names">Which tokens begin, end and fill up. Default: none.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="InvalidDataException">The data are damaged; the message says where.</exception>
    /// <exception cref="NotSupportedException">The data ask for something that this reader does not know; the message says where and what it knows.</exception>
    public static HuggingFaceTokenizer FromStream(Stream stream, SpecialTokenNames? names = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using var buffer = new MemoryStream();
        stream.CopyTo(buffer);
        string name = stream is FileStream file ? file.Name : FileName;
        return Read(name, buffer.GetBuffer().AsMemory(0, (int)buffer.Length), names ?? new SpecialTokenNames());
    }

    private static HuggingFaceTokenizer Read(string file, ReadOnlyMemory<byte> bytes, SpecialTokenNames names)
    {
        using JsonDocument document = JsonPart.Parse(file, bytes);
        try
        {
            return new HuggingFaceTokenizer(TokenizerStages.Read(new JsonPart(file, "", document.RootElement)), names);
        }
        catch (RunawayTextException exception)
        {
            // Added tokens are looked for in normalized form.
            throw new InvalidDataException($"'{file}': added_tokens cannot be normalized: {exception.Message}", exception);
        }
    }
}
