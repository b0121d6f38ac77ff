namespace Lora.Llm.Tokenization;

/// <summary>The added tokens of a tokenizer, and the two searches for them: before and after normalization.</summary>
internal sealed class AddedVocabulary
{
    private readonly Dictionary<string, AddedToken> _byContent = new(StringComparer.Ordinal);
    private readonly Dictionary<int, AddedToken> _byId = [];
    private readonly Dictionary<int, string> _normalized = [];
    private readonly AddedTokenMatcher? _original;
    private readonly AddedTokenMatcher? _afterNormalizing;

    public AddedVocabulary(IEnumerable<AddedToken> tokens, ModelVocabulary vocabulary, NormalizerStage? normalizer)
    {
        foreach (AddedToken declared in tokens.Where(token => token.Content.Length > 0))
        {
            // The model's vocabulary has the last word on the id of a token that it holds itself.
            AddedToken token = vocabulary.TryGetId(declared.Content, out int id) ? declared with { Id = id } : declared;
            _byContent[token.Content] = token;
            _byId[token.Id] = token;
        }

        var original = new Dictionary<string, AddedToken>(StringComparer.Ordinal);
        var afterNormalizing = new Dictionary<string, AddedToken>(StringComparer.Ordinal);
        foreach (AddedToken token in _byId.Values)
        {
            if (!token.IsNormalized)
            {
                original[token.Content] = token;
                continue;
            }

            string pattern = Normalize(token.Content, normalizer);
            if (pattern.Length > 0)
            {
                afterNormalizing.TryAdd(pattern, token);
                _normalized[token.Id] = pattern;
            }
        }

        _original = original.Count > 0 ? new AddedTokenMatcher(original) : null;
        _afterNormalizing = afterNormalizing.Count > 0 ? new AddedTokenMatcher(afterNormalizing) : null;
    }

    /// <summary>All of them, by id.</summary>
    public IReadOnlyList<AddedToken> Tokens => [.. _byId.Values.OrderBy(token => token.Id)];

    public AddedToken? Find(int id) => _byId.GetValueOrDefault(id);

    public AddedToken? Find(string content) => _byContent.GetValueOrDefault(content);

    /// <summary>What the decoder gets to see: a token that is found in normalized text is written in that form.</summary>
    public string DecodedForm(AddedToken token) => _normalized.GetValueOrDefault(token.Id, token.Content);

    public void CutOriginal(PieceText text)
    {
        if (_original is not null)
        {
            text.Split(_original.Cut);
        }
    }

    public void CutNormalized(PieceText text)
    {
        if (_afterNormalizing is not null)
        {
            text.Split(_afterNormalizing.Cut);
        }
    }

    /// <summary>Reads the list. An id that another token has is refused: Hugging Face gives such a token another id than the file says.</summary>
    public static List<AddedToken> Read(JsonPart? part, ModelVocabulary vocabulary)
    {
        var tokens = new List<AddedToken>();
        var taken = new Dictionary<int, string>();
        foreach (JsonPart item in part?.Items() ?? [])
        {
            int id = item.Required("id").AsId();
            string content = item.String("content");
            if (content.Length > 0 && !vocabulary.TryGetId(content, out _))
            {
                taken.TryAdd(id, content);
                string other = vocabulary.Token(id) ?? taken[id];
                if (other != content)
                {
                    throw item.Invalid($"gives '{content}' the id {id}, which '{other}' has. Give each token an id of its own.");
                }
            }

            tokens.Add(new AddedToken(id, content)
            {
                IsSpecial = item.Boolean("special", false),
                IsNormalized = item.Boolean("normalized", false),
                IsSingleWord = item.Boolean("single_word", false),
                StripsLeft = item.Boolean("lstrip", false),
                StripsRight = item.Boolean("rstrip", false),
            });
        }

        return tokens;
    }

    private static string Normalize(string content, NormalizerStage? normalizer)
    {
        if (normalizer is null)
        {
            return content;
        }

        var text = PieceText.Whole(content, isTracked: false);
        normalizer.Apply(text);
        return text.Text.Units.ToString();
    }
}
