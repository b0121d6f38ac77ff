namespace Lora.Llm.Tokenization;

/// <summary>
/// The token that stands for a word that the vocabulary does not have. It may be missing from the vocabulary itself, which is an
/// error only once it is needed: closed vocabularies do without it.
/// </summary>
internal sealed class UnknownWord(ModelVocabulary vocabulary, string token)
{
    private const int ShownLength = 40;

    private readonly int _id = vocabulary.TryGetId(token, out int id) ? id : -1;

    public string Token { get; } = token;

    public ModelToken TokenFor(ReadOnlySpan<char> word) => _id >= 0
        ? new ModelToken(_id, 0, word.Length)
        : throw new InvalidOperationException(
            $"The text holds '{Shown(word)}', which is not in the tokenizer's vocabulary, and its unk_token '{Token}' is not there either. Add '{Token}' to model.vocab, or leave such words out of the text.");

    /// <summary>As much of a word as an error message should quote.</summary>
    public static string Shown(ReadOnlySpan<char> word) => word.Length <= ShownLength ? word.ToString() : $"{word[..ShownLength]}…";
}
