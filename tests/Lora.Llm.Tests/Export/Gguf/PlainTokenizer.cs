using System.Text;
using System.Text.RegularExpressions;

namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>
/// How llama.cpp tokenizes by the metadata of a GGUF file, restated. "llama" joins the two neighbours whose token has the highest score, the first of equals, and spells what has no token in bytes; "gpt2" cuts a text by
/// the expression of the pre-tokenizer's name and merges in the order of the list.
/// </summary>
internal sealed class PlainTokenizer
{
    private const string Words = @"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+";
    private const string Rest = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private readonly PlainGguf _file;
    private readonly string[] _tokens;
    private readonly Dictionary<string, int> _ids = [];

    public PlainTokenizer(PlainGguf file)
    {
        _file = file;
        _tokens = [.. ((object[])file.Values["tokenizer.ggml.tokens"]).Cast<string>()];
        for (int id = _tokens.Length - 1; id >= 0; id--) _ids[_tokens[id]] = id;
    }

    /// <summary>The ids of a text without special tokens in it.</summary>
    public List<int> Encode(string text)
    {
        var ids = new List<int>();
        if ((bool)_file.Values["tokenizer.ggml.add_bos_token"]) ids.Add((int)(uint)_file.Values["tokenizer.ggml.bos_token_id"]);
        if ((string)_file.Values["tokenizer.ggml.model"] == "llama") ids.AddRange(ByScores(((bool)_file.Values["tokenizer.ggml.add_space_prefix"] ? " " : "") + text));
        else foreach (Match word in Cutter().Matches(text)) ids.AddRange(ByMerges(word.Value));
        if ((bool)_file.Values["tokenizer.ggml.add_eos_token"]) ids.Add((int)(uint)_file.Values["tokenizer.ggml.eos_token_id"]);
        return ids;
    }

    private IEnumerable<int> ByScores(string text)
    {
        float[] scores = [.. ((object[])_file.Values["tokenizer.ggml.scores"]).Cast<float>()];
        List<string> parts = [.. text.Replace(' ', '▁').EnumerateRunes().Select(rune => rune.ToString())];
        while (true)
        {
            int best = -1;
            for (int i = 0; i + 1 < parts.Count; i++)
                if (_ids.TryGetValue(parts[i] + parts[i + 1], out int id) && (best < 0 || scores[id] > scores[_ids[parts[best] + parts[best + 1]]])) best = i;
            if (best < 0) break;
            parts[best] += parts[best + 1];
            parts.RemoveAt(best + 1);
        }
        return parts.SelectMany(part => _ids.TryGetValue(part, out int id) ? [id] : Encoding.UTF8.GetBytes(part).Select(value => _ids[$"<0x{value:X2}>"]));
    }

    private List<int> ByMerges(string word)
    {
        string spelled = string.Concat(Encoding.UTF8.GetBytes(word).Select(Letter));
        // The rule of this pre-tokenizer: a whole word that is a token is one.
        if ((string)_file.Values["tokenizer.ggml.pre"] == "llama-bpe" && _ids.TryGetValue(spelled, out int whole)) return [whole];
        string[] merges = [.. ((object[])_file.Values["tokenizer.ggml.merges"]).Cast<string>()];
        List<string> parts = [.. spelled.Select(letter => letter.ToString())];
        while (true)
        {
            int best = -1, rank = int.MaxValue;
            for (int i = 0; i + 1 < parts.Count; i++)
            {
                int found = Array.IndexOf(merges, $"{parts[i]} {parts[i + 1]}");
                if (found >= 0 && found < rank) (best, rank) = (i, found);
            }
            if (best < 0) break;
            parts[best] += parts[best + 1];
            parts.RemoveAt(best + 1);
        }
        return [.. parts.Select(part => _ids[part])];
    }

    private Regex Cutter() => new((string)_file.Values["tokenizer.ggml.pre"] switch
    {
        "gpt-2" => @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        "llama-bpe" => $@"{Words}|\p{{N}}{{1,3}}{Rest}",
        "qwen2" => $@"{Words}|\p{{N}}{Rest}",
        string other => throw new ArgumentException(other),
    });

    // Printable letters stand for themselves, the others for those from 256 on.
    private static char Letter(byte value)
    {
        static bool IsPrintable(int b) => b is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE and <= 0xFF;
        return IsPrintable(value) ? (char)value : (char)(256 + Enumerable.Range(0, value).Count(b => !IsPrintable(b)));
    }
}
