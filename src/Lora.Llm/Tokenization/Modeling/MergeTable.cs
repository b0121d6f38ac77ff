namespace Lora.Llm.Tokenization;

/// <summary>Which two neighbours merge, in which order, and into what.</summary>
internal sealed class MergeTable
{
    private readonly PairTable _merges;

    /// <summary>Whether some merge joins a ▁ to something before it that is not all ▁.</summary>
    private readonly bool _crossesBlanks;

    private MergeTable(PairTable merges, bool crossesBlanks)
    {
        _merges = merges;
        _crossesBlanks = crossesBlanks;
    }

    /// <summary>SentencePiece's visible blank.</summary>
    public const char Blank = '\u2581';

    /// <summary>
    /// True: no merge ever reaches over the border between another character and a ▁, so that a text may be cut there.
    /// </summary>
    public bool BreaksBeforeBlanks => !_crossesBlanks;

    /// <summary>Ranks are unique, and the smallest goes first.</summary>
    public bool TryGet(int left, int right, out int rank, out int merged)
    {
        bool found = _merges.TryGet(PairTable.Key(left, right), out ulong value);
        rank = (int)(value >> 32);
        merged = (int)(uint)value;
        return found;
    }

    /// <param name="part">The array: <c>"a b"</c> or <c>["a", "b"]</c> each.</param>
    /// <param name="vocabulary">Holds every token of every merge.</param>
    /// <param name="prefixLength">Length of the prefix that the right one loses.</param>
    public static MergeTable Read(JsonPart part, ModelVocabulary vocabulary, int prefixLength)
    {
        var merges = new PairTable();
        bool crossesBlanks = false;
        int rank = 0;
        foreach (JsonPart item in part.Items())
        {
            (string left, string right) = ReadPair(item);
            int leftId = Find(item, vocabulary, left), rightId = Find(item, vocabulary, right);
            string joined = right.Length >= prefixLength
                ? left + right[prefixLength..]
                : throw item.Invalid($"merges '{left}' and '{right}', which is shorter than continuing_subword_prefix.");
            merges.Set(PairTable.Key(leftId, rightId), ((ulong)(uint)rank++ << 32) | (uint)Find(item, vocabulary, joined));
            crossesBlanks |= right.StartsWith(Blank) && !left.EndsWith(Blank);
        }

        return new MergeTable(merges, crossesBlanks);
    }

    private static (string Left, string Right) ReadPair(JsonPart item)
    {
        if (item.Element.ValueKind == System.Text.Json.JsonValueKind.String)
        {
            string text = item.AsString();
            int blank = text.IndexOf(' ', StringComparison.Ordinal);
            return blank > 0 && blank == text.LastIndexOf(' ') && blank < text.Length - 1
                ? (text[..blank], text[(blank + 1)..])
                : throw item.Invalid($"is '{text}'; a merge is two tokens with one blank between them.");
        }

        JsonPart[] pair = [.. item.Items()];
        return pair.Length == 2 ? (pair[0].AsString(), pair[1].AsString()) : throw item.Invalid($"holds {pair.Length} tokens; a merge has two.");
    }

    private static int Find(JsonPart item, ModelVocabulary vocabulary, string token) =>
        vocabulary.TryGetId(token, out int id)
            ? id
            : throw item.Invalid($"needs the token '{token}', which model.vocab does not hold. Save the tokenizer again with Hugging Face tokenizers.");
}
