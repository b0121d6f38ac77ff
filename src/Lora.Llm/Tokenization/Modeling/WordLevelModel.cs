namespace Lora.Llm.Tokenization;

/// <summary>One token for each word of the vocabulary, and one for all others.</summary>
internal sealed class WordLevelModel(ModelVocabulary vocabulary, string unknownToken) : TokenModel(vocabulary)
{
    private readonly UnknownWord _unknown = new(vocabulary, unknownToken);

    public override string? UnknownToken => _unknown.Token;

    public static WordLevelModel ReadModel(JsonPart part) => new(ModelVocabulary.ReadMap(part.Required("vocab")), part.String("unk_token"));

    public override void Tokenize(ReadOnlySpan<char> word, List<ModelToken> tokens) =>
        tokens.Add(Vocabulary.TryGetId(word, out int id) ? new ModelToken(id, 0, word.Length) : _unknown.TokenFor(word));
}
