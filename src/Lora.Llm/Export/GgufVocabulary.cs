using System.Text.Json;
using Lora.Export.Gguf;
using Lora.Llm.Tokenization;

namespace Lora.Llm.Export;

/// <summary>Writes the tokenizer of a Hugging Face folder into the metadata of a GGUF file.</summary>
internal static class GgufVocabulary
{
    private const string FileName = "tokenizer.json";

    // llama.cpp's numbers for what a token is.
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;

    /// <returns>What a reader should know although it prevents nothing.</returns>
    /// <exception cref="FileNotFoundException">The folder holds no <c>tokenizer.json</c>.</exception>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    /// <exception cref="NotSupportedException">The file asks for something that is not known here.</exception>
    /// <exception cref="AdapterFormatException">llama.cpp has no such tokenizer, or it does not fit the model; everything is listed.</exception>
    internal static IReadOnlyList<string> AddTo(GgufWriter writer, string folder, GgufFamily family)
    {
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(folder);
        string path = Path.Combine(folder, FileName);
        using JsonDocument document = JsonPart.Parse(path, File.ReadAllBytes(path));
        var problems = new List<string>();
        GgufTokenizerKind kind = GgufTokenizerKind.Of(document.RootElement, problems);
        if (problems.Count > 0) throw new AdapterFormatException(path, problems);
        string?[] tokens = TokensOf(document.RootElement, tokenizer, family.VocabularySize, problems);
        (int? before, int? behind) = AroundText(tokenizer, problems);
        if (problems.Count > 0) throw new AdapterFormatException(path, problems);

        writer.Add("tokenizer.ggml.model", kind.Model);
        writer.Add("tokenizer.ggml.pre", kind.PreTokenizer);
        writer.Add("tokenizer.ggml.tokens", Enumerable.Range(0, tokens.Length).Select(id => tokens[id] ?? $"[PAD{id}]").ToArray());
        if (kind.HasScores) writer.Add("tokenizer.ggml.scores", ScoresOf(document.RootElement, tokens));
        Dictionary<int, AddedToken> added = tokenizer.AddedTokens.ToDictionary(token => token.Id);
        writer.Add("tokenizer.ggml.token_type", Enumerable.Range(0, tokens.Length).Select(id => TypeOf(tokens[id], added.GetValueOrDefault(id), kind.HasScores, id == tokenizer.UnknownId)).ToArray());
        if (!kind.HasScores) writer.Add("tokenizer.ggml.merges", MergesOf(document.RootElement).Select(pair => $"{pair.Left} {pair.Right}").ToArray());
        AddSpecial(writer, tokenizer, family, before, behind);
        if (kind.AddsSpacePrefix is bool adds) writer.Add("tokenizer.ggml.add_space_prefix", adds);
        GgufChatTemplate.AddTo(writer, folder);
        return kind.Remarks;
    }

    // Rows of the embedding beyond the vocabulary are there to round a size up.
    private static string?[] TokensOf(JsonElement root, HuggingFaceTokenizer tokenizer, int size, List<string> problems)
    {
        IEnumerable<int> ids = root.GetProperty("model").GetProperty("vocab").EnumerateObject().Select(token => token.Value.GetInt32()).Concat(tokenizer.AddedTokens.Select(token => token.Id));
        int[] beyond = [.. ids.Where(id => id >= size).Order()];
        if (beyond.Length > 0) problems.Add($"{beyond.Length} tokens, up to id {beyond[^1]} ('{tokenizer.IdToToken(beyond[^1])}'), are beyond the model's vocabulary of {size} (vocab_size).");
        return [.. Enumerable.Range(0, size).Select(tokenizer.IdToToken)];
    }

    private static int TypeOf(string? token, AddedToken? added, bool isSentencePiece, bool isUnknown)
    {
        if (token is null) return Unused;
        if (isSentencePiece && isUnknown) return Unknown;
        if (isSentencePiece && IsByte(token)) return Byte;
        return added is null ? Normal : added.IsSpecial ? Control : UserDefined;
    }

    private static bool IsByte(string token) => token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>' && char.IsAsciiHexDigit(token[3]) && char.IsAsciiHexDigit(token[4]);

    // llama.cpp joins the neighbours whose token has the highest score, as SentencePiece does; the list of merges has that order. A token that no merge makes has no say, and the lowest score.
    private static float[] ScoresOf(JsonElement root, string?[] tokens)
    {
        var ranks = new Dictionary<string, int>(StringComparer.Ordinal);
        int rank = 0;
        foreach ((string left, string right) in MergesOf(root)) ranks.TryAdd(left + right, rank++);
        return [.. tokens.Select(token => token is not null && ranks.TryGetValue(token, out int found) ? -found : -(float)rank)];
    }

    private static IEnumerable<(string Left, string Right)> MergesOf(JsonElement root)
    {
        foreach (JsonElement merge in root.GetProperty("model").GetProperty("merges").EnumerateArray())
        {
            string[] pair = merge.ValueKind == JsonValueKind.String ? merge.GetString()!.Split(' ', 2) : [.. merge.EnumerateArray().Select(part => part.GetString()!)];
            yield return (pair[0], pair[1]);
        }
    }

    // What is put around a text tells it better than settings, which other programs may overrule.
    private static (int? Before, int? Behind) AroundText(HuggingFaceTokenizer tokenizer, List<string> problems)
    {
        IReadOnlyList<int> bare = tokenizer.Encode("a", addSpecialTokens: false).Ids, whole = tokenizer.Encode("a").Ids;
        int? before = whole.Count > bare.Count && whole[0] != bare[0] ? whole[0] : null, behind = whole.Count > bare.Count && whole[^1] != bare[^1] ? whole[^1] : null;
        int room = (before is null ? 0 : 1) + (behind is null ? 0 : 1);
        if (whole.Count != bare.Count + room) problems.Add($"it puts {whole.Count - bare.Count} tokens around a text, but llama.cpp puts one in front and one behind at most.");
        return (before, behind);
    }

    private static void AddSpecial(GgufWriter writer, HuggingFaceTokenizer tokenizer, GgufFamily family, int? before, int? behind)
    {
        int? begin = before ?? tokenizer.BosId ?? family.BeginTokenId, end = behind ?? tokenizer.EosId ?? (family.EndTokenIds.Count > 0 ? family.EndTokenIds[0] : null), pad = tokenizer.PadId ?? family.PadTokenId;
        foreach ((string key, int? id) in new[] { ("bos", begin), ("eos", end), ("unknown", tokenizer.UnknownId), ("padding", pad) })
            if (id is >= 0 and int known && known < family.VocabularySize) writer.Add($"tokenizer.ggml.{key}_token_id", (uint)known);
        writer.Add("tokenizer.ggml.add_bos_token", before is not null);
        writer.Add("tokenizer.ggml.add_eos_token", behind is not null);
    }
}
