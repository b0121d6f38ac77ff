using Lora.Llm.Tokenization;
using Microsoft.ML.Tokenizers;

namespace Lora.Llm;

/// <summary>
/// A tokenizer read from a Hugging Face <c>tokenizer.json</c>. It gives the same ids, tokens, offsets and texts as Hugging Face's
/// own library. Instances do not change and may be used by several threads at once.
/// </summary>
/// <remarks>
/// Supported are byte-level BPE (GPT-2, Llama 3, Qwen), SentencePiece-style BPE with byte fallback (Llama 2, Mistral), WordPiece (BERT),
/// Unigram without a precompiled character map (T5, XLM-R) and WordLevel. Truncation and padding that the file asks for are left to
/// the caller. Offsets count UTF-16 units of the text that was passed in, also where
/// a normalizer changes it; the normalized text that the base class's methods can report is therefore always null.
/// </remarks>
public sealed partial class HuggingFaceTokenizer : Tokenizer
{
    private readonly AddedVocabulary _added;
    private readonly Lazy<AddedVocabulary> _withoutSpecial;
    private readonly NormalizerStage? _normalizer;
    private readonly PreTokenizerStage? _preTokenizer;
    private readonly TokenModel _model;
    private readonly PostProcessor? _postProcessor;
    private readonly TokenDecoder? _decoder;

    private HuggingFaceTokenizer(TokenizerStages stages, SpecialTokenNames names)
    {
        _added = stages.Added;
        _withoutSpecial = new Lazy<AddedVocabulary>(() => new AddedVocabulary(stages.Added.Tokens.Where(token => !token.IsSpecial), stages.Model.Vocabulary, stages.Normalizer));
        _normalizer = stages.Normalizer;
        _preTokenizer = stages.PreTokenizer;
        _model = stages.Model;
        _postProcessor = stages.PostProcessor;
        _decoder = stages.Decoder;
        AddedTokens = _added.Tokens;
        Names = names;
        BosId = IdOf(names.Bos);
        EosId = IdOf(names.Eos);
        PadId = IdOf(names.Pad);
        UnknownId = IdOf(names.Unknown ?? _model.UnknownToken);
        VocabularySize = _model.Vocabulary.Count + AddedTokens.Count(token => !_model.Vocabulary.TryGetId(token.Content, out _));
    }

    /// <summary>How many different tokens there are, added ones included. The model's embedding may have more rows.</summary>
    public int VocabularySize { get; }

    /// <summary>The tokens that are looked for in the text itself, by id.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; }

    /// <summary>The names that <see cref="BosId"/>, <see cref="EosId"/>, <see cref="PadId"/> and <see cref="UnknownId"/> come from.</summary>
    public SpecialTokenNames Names { get; }

    /// <summary>Id of the token that begins a text, or null where the tokenizer names none.</summary>
    public int? BosId { get; }

    /// <summary>Id of the token that ends a text, or null where the tokenizer names none.</summary>
    public int? EosId { get; }

    /// <summary>Id of the token that fills a batch up, or null where the tokenizer names none.</summary>
    public int? PadId { get; }

    /// <summary>Id of the token for what is not in the vocabulary, or null where the tokenizer names none.</summary>
    public int? UnknownId { get; }

    /// <summary>The id of a token.</summary>
    /// <param name="token">The token as the vocabulary writes it, for example <c>Ġthe</c> or <c>&lt;s&gt;</c>.</param>
    /// <returns>The id, or null where there is no such token.</returns>
    public int? TokenToId(string token)
    {
        ArgumentNullException.ThrowIfNull(token);
        return _added.Find(token)?.Id ?? (_model.Vocabulary.TryGetId(token, out int id) ? id : null);
    }

    /// <summary>The token that has an id.</summary>
    /// <param name="id">The id.</param>
    /// <returns>The token as the vocabulary writes it, or null where no token has this id.</returns>
    public string? IdToToken(int id) => _added.Find(id)?.Content ?? _model.Vocabulary.Token(id);

    /// <summary>Tokenizes a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="addSpecialTokens">Whether the tokens that the model wants around a text are put there. Default: true.</param>
    /// <param name="maxLength">Most tokens to give, special ones included; the end of the text is cut off. Default: no limit.</param>
    /// <returns>The tokens.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxLength"/> leaves no room for the special tokens.</exception>
    public TokenizerEncoding Encode(string text, bool addSpecialTokens = true, int? maxLength = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        EncodingPart part = EncodeSequence(text, keepsDetails: true, normalizes: true, cuts: true);
        if (maxLength is { } limit)
        {
            int added = addSpecialTokens ? AddedCount(isPair: false) : 0;
            ArgumentOutOfRangeException.ThrowIfLessThan(limit, added, nameof(maxLength));
            Truncate(part, limit - added);
        }

        return new TokenizerEncoding(PostProcess([part], addSpecialTokens));
    }

    private static void Truncate(EncodingPart part, int length)
    {
        int surplus = part.Ids.Count - length;
        if (surplus > 0)
        {
            part.Ids.RemoveRange(length, surplus);
            part.Tokens?.RemoveRange(length, surplus);
            part.Offsets?.RemoveRange(length, surplus);
        }
    }

    private int? IdOf(string? token) => token is null ? null : TokenToId(token);

    private int AddedCount(bool isPair) => _postProcessor?.AddedTokens(isPair) ?? 0;

    private List<EncodingPart> PostProcess(List<EncodingPart> parts, bool addsSpecialTokens) =>
        _postProcessor?.Process(parts, addsSpecialTokens) ?? parts;

    private EncodingPart EncodeSequence(ReadOnlySpan<char> text, bool keepsDetails, bool normalizes, bool cuts)
    {
        var work = PieceText.Whole(text, keepsDetails || _preTokenizer is { NeedsOrigin: true });
        return EncodeWork(work, _added, keepsDetails, normalizes, cuts);
    }

    private EncodingPart EncodeWork(PieceText work, AddedVocabulary added, bool keepsDetails, bool normalizes, bool cuts)
    {
        added.CutOriginal(work);
        if (normalizes)
        {
            _normalizer?.Apply(work);
        }

        added.CutNormalized(work);
        _preTokenizer?.Apply(work, cuts);

        var part = new EncodingPart { Tokens = keepsDetails ? [] : null, Offsets = keepsDetails ? [] : null };
        var tokens = new List<ModelToken>();
        foreach (TextPiece piece in work.Pieces)
        {
            tokens.Clear();
            ReadOnlySpan<char> word = work.Text.Slice(piece.Start, piece.Length);
            if (piece.IsOpen)
            {
                _model.Tokenize(word, tokens);
            }
            else
            {
                tokens.Add(new ModelToken(piece.TokenId, 0, piece.Length));
            }

            foreach (ModelToken token in tokens)
            {
                part.Ids.Add(token.Id);
                if (keepsDetails)
                {
                    part.Tokens!.Add(piece.IsOpen ? _model.TextOf(token, word) : word.ToString());
                    part.Offsets!.Add((work.Text.StartOf(piece.Start + token.Start), work.Text.EndOf(piece.Start + token.End - 1)));
                }
            }
        }

        return part;
    }
}
