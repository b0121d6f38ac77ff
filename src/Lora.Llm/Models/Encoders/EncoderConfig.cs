using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of an encoder of the kind that BERT began: learned positions, attention to both sides, norms behind attention and feed-forward.</summary>
public abstract record EncoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    private protected EncoderConfig()
    {
    }

    /// <summary>Reads the fields. What is wrong with them is left in <paramref name="file"/>.</summary>
    [SetsRequiredMembers]
    private protected EncoderConfig(ConfigReader file, int padTokenId)
    {
        VocabularySize = file.Size("vocab_size");
        HiddenSize = file.Size("hidden_size");
        IntermediateSize = file.Size("intermediate_size");
        Layers = file.Layers("num_hidden_layers");
        Heads = file.Count("num_attention_heads");
        Positions = file.Size("max_position_embeddings", 512);
        TokenTypes = file.Size("type_vocab_size", 2);
        NormEpsilon = file.Number("layer_norm_eps", 1e-12);
        HiddenDropout = file.Fraction("hidden_dropout_prob", 0.1);
        AttentionDropout = file.Fraction("attention_probs_dropout_prob", 0.1);
        ClassifierDropout = file.Has("classifier_dropout") ? file.Fraction("classifier_dropout", 0) : null;
        InitializerRange = file.Number("initializer_range", 0.02);
        PadTokenId = file.Whole("pad_token_id") ?? padTokenId;
        TieEmbeddings = file.Truth("tie_word_embeddings", true);
        (Labels, ProblemType) = LabelReader.Read(file);
    }

    /// <summary>The number of entries of the vocabulary (<c>vocab_size</c>).</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The width of the hidden states (<c>hidden_size</c>), a multiple of <see cref="Heads"/>.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The inner width of the feed-forward part (<c>intermediate_size</c>).</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The number of layers (<c>num_hidden_layers</c>).</summary>
    public required int Layers { get; init; }

    /// <summary>The number of attention heads (<c>num_attention_heads</c>).</summary>
    public required int Heads { get; init; }

    /// <summary>The number of position embeddings (<c>max_position_embeddings</c>).</summary>
    /// <value>512 by default.</value>
    public int Positions { get; init; } = 512;

    /// <summary>The number of token types (<c>type_vocab_size</c>).</summary>
    /// <value>2 by default.</value>
    public int TokenTypes { get; init; } = 2;

    /// <summary>The ε of the norms (<c>layer_norm_eps</c>).</summary>
    /// <value>1e-12 by default.</value>
    public double NormEpsilon { get; init; } = 1e-12;

    /// <summary>The share of hidden values that are dropped in training (<c>hidden_dropout_prob</c>).</summary>
    /// <value>0.1 by default.</value>
    public double HiddenDropout { get; init; } = 0.1;

    /// <summary>The share of attention weights that are dropped in training (<c>attention_probs_dropout_prob</c>).</summary>
    /// <value>0.1 by default.</value>
    public double AttentionDropout { get; init; } = 0.1;

    /// <summary>The share of values that are dropped before the classifier in training (<c>classifier_dropout</c>).</summary>
    /// <value>Null by default: <see cref="HiddenDropout"/>.</value>
    public double? ClassifierDropout { get; init; }

    /// <summary>The standard deviation of fresh weights (<c>initializer_range</c>).</summary>
    /// <value>0.02 by default.</value>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>The token that fills up short texts (<c>pad_token_id</c>): its row of the embedding gets no gradient.</summary>
    /// <value>That of the family by default.</value>
    public int PadTokenId { get; init; }

    /// <summary>The names of a classifier's classes (<c>id2label</c>), in the order of the logits.</summary>
    /// <value><c>LABEL_0</c> and <c>LABEL_1</c> by default.</value>
    public IReadOnlyList<string> Labels { get; init; } = LabelReader.Unnamed(2);

    /// <summary>What a classifier's labels mean (<c>problem_type</c>).</summary>
    /// <value>Null by default: their number and type tell.</value>
    public ProblemType? ProblemType { get; init; }

    /// <summary>Whether the head of a masked language model uses the weight of the token embedding; this version has no other.</summary>
    internal bool TieEmbeddings { get; init; } = true;

    /// <summary>What such a model is called in messages.</summary>
    internal abstract string Kind { get; }

    /// <summary>Whether positions count real tokens alone, from behind the padding token's number.</summary>
    internal abstract bool CountsFromPadding { get; }

    /// <summary>The number of tokens of the longest text.</summary>
    internal int LongestText => CountsFromPadding ? Positions - PadTokenId - 1 : Positions;

    /// <summary>Checks that the sizes are positive and fit each other.</summary>
    /// <exception cref="ArgumentException">They do not; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        foreach ((string name, int size) in new[]
        {
            (nameof(VocabularySize), VocabularySize), (nameof(HiddenSize), HiddenSize), (nameof(IntermediateSize), IntermediateSize), (nameof(Layers), Layers),
            (nameof(Heads), Heads), (nameof(Positions), Positions), (nameof(TokenTypes), TokenTypes),
        })
        {
            if (size < 1) problems.Add($"{name} must be at least 1, but is {size}.");
        }
        if (Heads > 0 && HiddenSize % Heads != 0) problems.Add($"HiddenSize must be a multiple of Heads ({Heads}), but is {HiddenSize}.");
        foreach ((string name, double share) in new[] { (nameof(HiddenDropout), HiddenDropout), (nameof(AttentionDropout), AttentionDropout), (nameof(ClassifierDropout), ClassifierDropout ?? 0) })
            if (share is not (>= 0 and < 1)) problems.Add(FormattableString.Invariant($"{name} must be at least 0 and below 1, but is {share}."));
        foreach ((string name, double number) in new[] { (nameof(NormEpsilon), NormEpsilon), (nameof(InitializerRange), InitializerRange) })
            if (!(number > 0 && double.IsFinite(number))) problems.Add(FormattableString.Invariant($"{name} must be above 0, but is {number}."));
        if (CountsFromPadding && (PadTokenId < 0 || LongestText < 1))
            problems.Add($"PadTokenId must be at least 0 and leave positions behind it ({Positions} in all), but is {PadTokenId}.");
        if (LabelReader.Problem(Labels) is string wrong) problems.Add($"{nameof(Labels)}: {wrong}");
        if (problems.Count > 0) throw new ArgumentException($"There is no such {Kind}:{string.Concat(problems.Select(p => $"\n  - {p}"))}");
    }

    /// <summary>Reads a file of one family.</summary>
    /// <param name="path">The <c>config.json</c>.</param>
    /// <param name="type">The family's <c>model_type</c>.</param>
    /// <param name="make">Makes the configuration of the fields.</param>
    private protected static T Read<T>(string path, string type, Func<ConfigReader, T> make)
        where T : EncoderConfig
    {
        ConfigReader file = ModelTypeReader.Open(path, type, typeof(SequenceClassifier));
        T config = make(file);
        string activation = file.Text("hidden_act", "gelu")!;
        file.Require(activation == "gelu", $"hidden_act is \"{activation}\", but this version supports \"gelu\" alone for this family.");
        string positions = file.Text("position_embedding_type", "absolute")!;
        file.Require(positions == "absolute", $"position_embedding_type is \"{positions}\", but this version supports \"absolute\" alone.");
        file.Require(!file.Truth("is_decoder", false), $"is_decoder is true, but this version supports a {config.Kind} that looks to both sides alone.");
        file.ThrowIfWrong();
        file.Require(config.HiddenSize % config.Heads == 0, $"hidden_size ({config.HiddenSize}) is no multiple of num_attention_heads ({config.Heads}).");
        // The row of the padding token is one of the table's; a number below 0 counts from its end.
        file.Require(
            config.PadTokenId >= -config.VocabularySize && config.PadTokenId < config.VocabularySize, $"pad_token_id must be a token of the vocabulary of {config.VocabularySize}, but is {config.PadTokenId}.");
        file.Require(
            !config.CountsFromPadding || (config.PadTokenId >= 0 && config.LongestText >= 1),
            $"pad_token_id ({config.PadTokenId}) leaves no position: a {config.Kind} counts them from behind it, and max_position_embeddings is {config.Positions}.");
        file.ThrowIfWrong();
        return config;
    }
}
