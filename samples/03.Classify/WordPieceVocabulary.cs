using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Classify;

/// <summary>Makes a <c>tokenizer.json</c> of BERT's kind: the words of some texts, and letters for all others.</summary>
internal static partial class WordPieceVocabulary
{
    internal const string Mask = "[MASK]";

    private static readonly string[] _special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", Mask];

    internal static void Write(IEnumerable<string> texts, string folder)
    {
        string[] letters = [.. Enumerable.Range('a', 26).Select(letter => $"{(char)letter}")];
        string[] words = [.. texts.SelectMany(text => Words().Matches(text).Select(match => match.Value)).Distinct(StringComparer.Ordinal).Where(word => word.Length > 1 || !char.IsLetter(word[0])).Order(StringComparer.Ordinal)];
        string[] all = [.. _special, .. letters, .. letters.Select(letter => $"##{letter}"), .. words];
        var vocabulary = new JsonObject();
        for (int id = 0; id < all.Length; id++) vocabulary.Add(all[id], id);

        var tokenizer = new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray([.. _special.Select((token, id) => new JsonObject
            {
                ["id"] = id,
                ["content"] = token,
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = true,
            })]),
            ["normalizer"] = new JsonObject { ["type"] = "BertNormalizer", ["clean_text"] = true, ["handle_chinese_chars"] = true, ["strip_accents"] = null, ["lowercase"] = true },
            ["pre_tokenizer"] = new JsonObject { ["type"] = "BertPreTokenizer" },
            ["post_processor"] = new JsonObject { ["type"] = "BertProcessing", ["sep"] = new JsonArray("[SEP]", 3), ["cls"] = new JsonArray("[CLS]", 2) },
            ["decoder"] = new JsonObject { ["type"] = "WordPiece", ["prefix"] = "##", ["cleanup"] = true },
            ["model"] = new JsonObject { ["type"] = "WordPiece", ["unk_token"] = "[UNK]", ["continuing_subword_prefix"] = "##", ["max_input_chars_per_word"] = 100, ["vocab"] = vocabulary },
        };
        var names = new JsonObject
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["pad_token"] = "[PAD]",
            ["unk_token"] = "[UNK]",
            ["cls_token"] = "[CLS]",
            ["sep_token"] = "[SEP]",
            ["mask_token"] = Mask,
        };
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString() + "\n");
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), names.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
    }

    [GeneratedRegex(@"[a-z]+|[^\sa-z]")]
    private static partial Regex Words();
}
