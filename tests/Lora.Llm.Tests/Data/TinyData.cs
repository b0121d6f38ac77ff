using System.Text;
using System.Text.Json;
using Lora.Llm.Tests.Tokenization;
using Lora.Tests;

namespace Lora.Llm.Tests.Data;

/// <summary>Small JSONL files and a tokenizer for them: one token a letter but for "bc", which is one token.</summary>
internal static class TinyData
{
    public const int BC = 30;

    public static HuggingFaceTokenizer Tokenizer { get; } = TokenizerJsonText.Load(TokenizerJsonText.Bpe(
        [.. "abcdefghijklmnopqrstuvwxyz =.0".Select(c => c.ToString()), "bc"], ["b c"]), "'decoder': {'type': 'Fuse'}");

    /// <summary>Reads a file of these bytes.</summary>
    public static JsonlDataset Read(byte[] file, JsonlOptions? options = null) => Read(file, options, out _);

    public static JsonlDataset Read(byte[] file, JsonlOptions? options, out string path)
    {
        using var folder = new TemporaryFolder();
        path = folder["data.jsonl"];
        File.WriteAllBytes(path, file);
        return JsonlDataset.Load(path, Tokenizer, options);
    }

    /// <summary>Reads a file of these lines.</summary>
    public static JsonlDataset Read(JsonlOptions? options, params string[] lines) => Read(Encoding.UTF8.GetBytes(string.Join('\n', lines)), options);

    /// <summary>A task to learn: the letters of the prompt once more. Lengths differ.</summary>
    public static JsonlDataset Copying(int count, int first = 0) => Read(null, [.. Enumerable.Range(first, count).Select(i =>
    {
        string letters = string.Concat(Enumerable.Range(0, 2 + i % 4).Select(j => (char)('d' + (i * 7 + j * 3) % 20)));
        return JsonSerializer.Serialize(new { prompt = $"{letters}=", completion = $"{letters}." });
    })]);
}
