using System.Text.Json;

namespace Lora.Llm.Tokenization;

/// <summary>The model's tokens and their ids.</summary>
internal sealed class ModelVocabulary
{
    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private readonly string?[] _tokens;
    private readonly Dictionary<int, string>? _scattered;

    /// <param name="ids">The id of each token.</param>
    /// <param name="tokens">The token of each id; several ids may have the same.</param>
    /// <param name="scattered">The tokens of ids beyond the table.</param>
    public ModelVocabulary(Dictionary<string, int> ids, string?[] tokens, Dictionary<int, string>? scattered = null)
    {
        _ids = ids;
        _bySpan = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        _tokens = tokens;
        _scattered = scattered;
    }

    public int Count => _ids.Count;

    public IReadOnlyDictionary<string, int> Ids => _ids;

    public bool TryGetId(ReadOnlySpan<char> token, out int id) => _bySpan.TryGetValue(token, out id);

    /// <summary>The token, or null where no token has this id.</summary>
    public string? Token(int id) => (uint)id < (uint)_tokens.Length ? _tokens[id] : _scattered?.GetValueOrDefault(id);

    /// <summary>
    /// Reads <c>{"token": id, …}</c>. Ids may be left out, as with Hugging Face: no text becomes them, and none comes of them. But one of two tokens with the same id would be read as the other.
    /// </summary>
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

        if (largest > ids.Count + Slack)
        {
            throw part.Invalid($"holds {ids.Count} tokens and the id {largest}. Copy or download the file again.");
        }

        // Ids far beyond the number of tokens would make the table large without need.
        var tokens = new string?[largest < (4 * (long)ids.Count) + 1024 ? largest + 1 : 0];
        var scattered = tokens.Length > largest ? null : new Dictionary<int, string>(ids.Count);
        var vocabulary = new ModelVocabulary(ids, tokens, scattered);
        foreach ((string token, int id) in ids)
        {
            if (vocabulary.Token(id) is { } other)
            {
                throw part.Invalid($"gives the id {id} to '{other}' and to '{token}', so that one would be read as the other. Give each token an id of its own.");
            }

            if (scattered is null) tokens[id] = token;
            else scattered.Add(id, token);
        }

        return vocabulary;
    }
}
