using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>WordPiece: from the left, the longest token each time; a word that this does not spell to its end is unknown as a whole.</summary>
internal sealed class WordPieceModel : TokenModel
{
    private readonly UnknownWord _unknown;
    private readonly int _longestWord;
    private readonly TokenTrie _beginnings = new();
    private readonly TokenTrie _continuations;

    /// <param name="vocabulary">The tokens.</param>
    /// <param name="unknownToken">The token for a word that cannot be spelled.</param>
    /// <param name="prefix">What tokens inside a word begin with.</param>
    /// <param name="longestWord">Longer words, counted in code points, are unknown.</param>
    public WordPieceModel(ModelVocabulary vocabulary, string unknownToken, string prefix, int longestWord)
        : base(vocabulary)
    {
        _unknown = new UnknownWord(vocabulary, unknownToken);
        _longestWord = longestWord;
        _continuations = prefix.Length == 0 ? _beginnings : new TokenTrie();
        foreach ((string token, int id) in vocabulary.Ids)
        {
            _beginnings.Add(token, id);
            if (prefix.Length > 0 && token.StartsWith(prefix, StringComparison.Ordinal))
            {
                _continuations.Add(token.AsSpan(prefix.Length), id);
            }
        }
    }

    public override string? UnknownToken => _unknown.Token;

    public static WordPieceModel ReadModel(JsonPart part)
    {
        int longest = part.Int32("max_input_chars_per_word");
        return longest >= 0
            ? new WordPieceModel(ModelVocabulary.ReadMap(part.Required("vocab")), part.String("unk_token"), part.String("continuing_subword_prefix"), longest)
            : throw part.Invalid($"has max_input_chars_per_word {longest}; it should be a whole number from 0.");
    }

    public override void Tokenize(ReadOnlySpan<char> word, List<ModelToken> tokens)
    {
        int before = tokens.Count;
        bool isSpelled = !IsTooLong(word);
        for (int start = 0; isSpelled && start < word.Length;)
        {
            int id = (start == 0 ? _beginnings : _continuations).Longest(word[start..], out int length);
            isSpelled = id >= 0;
            if (isSpelled)
            {
                tokens.Add(new ModelToken(id, start, start + length));
                start += length;
            }
        }

        if (!isSpelled)
        {
            tokens.RemoveRange(before, tokens.Count - before);
            tokens.Add(_unknown.TokenFor(word));
        }
    }

    private bool IsTooLong(ReadOnlySpan<char> word)
    {
        // No word has more code points than units.
        if (word.Length <= _longestWord)
        {
            return false;
        }

        int count = 0;
        foreach (Rune _ in word.EnumerateRunes())
        {
            if (++count > _longestWord)
            {
                return true;
            }
        }

        return false;
    }
}
