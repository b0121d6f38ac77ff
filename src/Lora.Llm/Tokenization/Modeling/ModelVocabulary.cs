using System.Text.Json;

namespace Lora.Llm.Tokenization;

/// <summary>The model's tokens and their ids.</summary>
internal sealed class ModelVocabulary
{
    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private readonly string?[] _tokens;
    private readonly Dictionary<int, string> _scattered = [];

    public ModelVocabulary(Dictionary<string, int> ids)
        : this(ids, new string?[Dense(ids)])
    {
        foreach ((string token, int id) in ids)
        {
            if (id < _tokens.Length)
            {
                _tokens[id] = token;
            }
            else
            {
                _scattered[id] = token;
            }
        }
    }

    /// <param name="ids">The id of each token.</param>
    /// <param name="tokens">The token of each id; several ids may have the same.</param>
    public ModelVocabulary(Dictionary<string, int> ids, string?[] tokens)
    {
        _ids = ids;
        _bySpan = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        _tokens = tokens;
    }

    public int Count => _ids.Count;

    public IReadOnlyDictionary<string, int> Ids => _ids;

    public bool TryGetId(ReadOnlySpan<char> token, out int id) => _bySpan.TryGetValue(token, out id);

    /// <summary>The token, or null where no token has this id.</summary>
    public string? Token(int id) => (uint)id < (uint)_tokens.Length ? _tokens[id] : _scattered.GetValueOrDefault(id);

    // The size of the table of tokens: ids far beyond their number would make it large without need.
    private static int Dense(Dictionary<string, int> ids)
    {
        int end = ids.Count == 0 ? 0 : ids.Values.Max() + 1;
        return end <= (4 * (long)ids.Count) + 1024 ? end : 0;
    }

    /// <summary>Reads <c>{"token": id, …}</c>.</summary>
    public static ModelVocabulary ReadMap(JsonPart part)
    {
        // An id far beyond the number of tokens is a damaged file: a model's table would be as long.
        const int Slack = 1 << 20;
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        int largest = -1;
        foreach ((string token, JsonPart value) in part.Members())
        {
            if (value.Element.ValueKind != JsonValueKind.Number || !value.Element.TryGetInt32(out int id) || id < 0)
            {
                throw part.Invalid($"gives the token '{token}' the id {value.Element.GetRawText()}; ids are whole numbers from 0.");
            }

            ids[token] = id;
            largest = Math.Max(largest, id);
        }

        return largest <= ids.Count + Slack
            ? new ModelVocabulary(ids)
            : throw part.Invalid($"holds {ids.Count} tokens and the id {largest}. Copy or download the file again.");
    }
}
