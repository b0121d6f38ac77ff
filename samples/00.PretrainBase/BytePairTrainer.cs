using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace PretrainBase;

/// <summary>
/// Learns a byte-level BPE vocabulary (Sennrich et al. 2016): starting from the 256 bytes, it joins the most frequent pair of neighbours inside words, again and again.
/// </summary>
internal static partial class BytePairTrainer
{
    internal const string EndToken = "<|end|>";

    /// <summary>Learns from texts and writes <c>tokenizer.json</c> and <c>tokenizer_config.json</c>. The end token has the id 0.</summary>
    internal static void Train(IEnumerable<string> texts, int vocabularySize, string folder)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string text in texts)
            foreach (Match word in Words().Matches(text))
                CollectionsMarshal.GetValueRefOrAddDefault(counts, word.Value, out _)++;
        (List<string> Symbols, int Count)[] words = [.. counts.OrderBy(word => word.Key, StringComparer.Ordinal).Select(word => (Letters(word.Key), word.Value))];

        List<string> vocabulary = [EndToken, .. Enumerable.Range(0, 256).Select(b => $"{LetterOf((byte)b)}").Order(StringComparer.Ordinal)];
        var merges = new JsonArray();
        while (vocabulary.Count < vocabularySize && BestPair(words) is (string left, string right))
        {
            vocabulary.Add(left + right);
            merges.Add(new JsonArray(left, right));
            foreach ((List<string> symbols, _) in words) Join(symbols, left, right);
        }

        var tokens = new JsonObject();
        for (int id = 0; id < vocabulary.Count; id++) tokens.Add(vocabulary[id], id);
        var tokenizer = new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray(new JsonObject
            {
                ["id"] = 0,
                ["content"] = EndToken,
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = true,
            }),
            ["normalizer"] = null,
            ["pre_tokenizer"] = ByteLevel(),
            ["post_processor"] = null,
            ["decoder"] = ByteLevel(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["ignore_merges"] = false,
                ["vocab"] = tokens,
                ["merges"] = merges,
            },
        };
        var names = new JsonObject { ["eos_token"] = EndToken, ["pad_token"] = EndToken, ["tokenizer_class"] = "PreTrainedTokenizerFast", ["clean_up_tokenization_spaces"] = false };
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString(Json.Plain) + "\n");
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), names.ToJsonString(Json.Readable) + "\n");
    }

    // GPT-2's pattern, which "ByteLevel" stands for in a tokenizer.json.
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    private static partial Regex Words();

    private static JsonObject ByteLevel() => new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true };

    private static List<string> Letters(string word) => [.. Encoding.UTF8.GetBytes(word).Select(b => $"{LetterOf(b)}")];

    // GPT-2's letters for bytes: printable ones stand for themselves, the others follow from U+0100 on.
    private static char LetterOf(byte value)
    {
        if (IsPrintable(value)) return (char)value;
        return (char)(256 + Enumerable.Range(0, value).Count(b => !IsPrintable(b)));
    }

    private static bool IsPrintable(int value) => value is (>= '!' and <= '~') or (>= '¡' and <= '¬') or (>= '®' and <= 'ÿ');

    private static (string Left, string Right)? BestPair((List<string> Symbols, int Count)[] words)
    {
        var pairs = new Dictionary<(string, string), int>();
        foreach ((List<string> symbols, int count) in words)
            for (int i = 0; i + 1 < symbols.Count; i++)
                CollectionsMarshal.GetValueRefOrAddDefault(pairs, (symbols[i], symbols[i + 1]), out _) += count;
        if (pairs.Count == 0) return null;
        return pairs.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key.Item1, StringComparer.Ordinal).ThenBy(pair => pair.Key.Item2, StringComparer.Ordinal).First().Key;
    }

    private static void Join(List<string> symbols, string left, string right)
    {
        for (int i = 0; i + 1 < symbols.Count; i++)
        {
            if (symbols[i] != left || symbols[i + 1] != right) continue;
            symbols[i] = left + right;
            symbols.RemoveAt(i + 1);
        }
    }
}
