using System.Text.Json;

namespace Lora.Llm.Tokenization;

/// <summary>Turns one word into tokens of a vocabulary. Instances may be used by several threads at once.</summary>
internal abstract class TokenModel(ModelVocabulary vocabulary)
{
    public ModelVocabulary Vocabulary { get; } = vocabulary;

    /// <summary>The token for what is not in the vocabulary, if the model names one.</summary>
    public abstract string? UnknownToken { get; }

    /// <summary>Adds the word's tokens in order.</summary>
    public abstract void Tokenize(ReadOnlySpan<char> word, List<ModelToken> tokens);

    /// <summary>The text of a token that was found in a word.</summary>
    public virtual string TextOf(ModelToken token, ReadOnlySpan<char> word) => Vocabulary.Token(token.Id)!;

    public static TokenModel Read(JsonPart part)
    {
        string kind = part.OptionalString("type") ?? KindByMembers(part);
        return kind switch
        {
            "BPE" => BpeModelReader.Read(part),
            "Unigram" => UnigramModelReader.Read(part),
            "WordLevel" => WordLevelModel.ReadModel(part),
            "WordPiece" => WordPieceModel.ReadModel(part),
            _ => throw part.Unsupported(kind, "BPE", "Unigram", "WordLevel", "WordPiece"),
        };
    }

    // Files of tokenizers before 0.9 have no type.
    private static string KindByMembers(JsonPart part) => part switch
    {
        _ when part.Optional("merges") is not null => "BPE",
        _ when part.Optional("continuing_subword_prefix") is not null => "WordPiece",
        _ when part.Optional("vocab") is { Element.ValueKind: JsonValueKind.Array } => "Unigram",
        _ when part.Optional("unk_token") is not null => "WordLevel",
        _ => "of no type",
    };
}
