using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a model of the kind that Llama began: rotary positions, grouped queries, a feed-forward part with a gate, norms before both.</summary>
public abstract record DecoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    private protected DecoderConfig()
    {
    }

    /// <summary>Reads the fields that all families have. What is wrong with them is left in <paramref name="file"/>.</summary>
    [SetsRequiredMembers]
    private protected DecoderConfig(ConfigReader file, FamilyDefaults defaults)
    {
        Heads = file.Size("num_attention_heads");
        HiddenSize = file.Size("hidden_size");
        VocabularySize = file.Size("vocab_size");
        IntermediateSize = file.Size("intermediate_size");
        Layers = file.Layers("num_hidden_layers");
        KeyValueHeads = file.CountOrNone("num_key_value_heads", defaults.KeyValueHeads) ?? Heads;
        HeadDimension = file.Size("head_dim", defaults.HeadDimension ?? Math.Max(1, HiddenSize / Heads));
        MaxPositions = file.Count("max_position_embeddings", defaults.MaxPositions);
        NormEpsilon = file.Number("rms_norm_eps", defaults.NormEpsilon);
        TieEmbeddings = file.Truth("tie_word_embeddings", defaults.TiesEmbeddings);
        BeginTokenId = file.Says("bos_token_id") ? file.TokenIds("bos_token_id") is [int begin, ..] ? begin : null : defaults.BeginTokenId;
        EndTokenIds = EndTokenReader.Read(file, defaults.EndTokenId);
        PadTokenId = file.Says("pad_token_id") ? file.Whole("pad_token_id") : defaults.PadTokenId;
        AttentionDropout = file.Fraction("attention_dropout", 0);
        Rope = ReadRope(file);
    }

    /// <summary>The number of entries of the vocabulary (<c>vocab_size</c>).</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The width of the residual stream (<c>hidden_size</c>).</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The inner width of the feed-forward part (<c>intermediate_size</c>).</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The number of layers (<c>num_hidden_layers</c>).</summary>
    public required int Layers { get; init; }

    /// <summary>The number of query heads (<c>num_attention_heads</c>).</summary>
    public required int Heads { get; init; }

    /// <summary>The number of key and value heads (<c>num_key_value_heads</c>), a divisor of <see cref="Heads"/>.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>The width of a head (<c>head_dim</c>).</summary>
    public required int HeadDimension { get; init; }

    /// <summary>The number of positions the model was made for (<c>max_position_embeddings</c>).</summary>
    /// <value>2048 by default.</value>
    public int MaxPositions { get; init; } = 2048;

    /// <summary>The ε of the norms (<c>rms_norm_eps</c>).</summary>
    /// <value>1e-6 by default.</value>
    public double NormEpsilon { get; init; } = 1e-6;

    /// <summary>Whether the output head uses the weight of the token embedding (<c>tie_word_embeddings</c>).</summary>
    /// <value>False by default.</value>
    public bool TieEmbeddings { get; init; }

    /// <summary>The tokens that end a text (<c>eos_token_id</c>); those of <c>generation_config.json</c> where it names any.</summary>
    /// <value>None by default.</value>
    public IReadOnlyList<int> EndTokenIds { get; init; } = [];

    /// <summary>The token that begins a text (<c>bos_token_id</c>).</summary>
    /// <value>None by default.</value>
    public int? BeginTokenId { get; init; }

    /// <summary>
    /// The token that fills up short texts (<c>pad_token_id</c>), counted from the end where negative: the embedding's row for it gets no gradient, as in
    /// transformers. One beyond the vocabulary has no row.
    /// </summary>
    /// <value>None by default.</value>
    public int? PadTokenId { get; init; }

    /// <summary>The share of the attention's weights that training drops (<c>attention_dropout</c>).</summary>
    /// <value>0 by default.</value>
    public double AttentionDropout { get; init; }

    /// <summary>The base of the rotary positions (<c>rope_theta</c>).</summary>
    /// <value>10000 by default.</value>
    public double RopeTheta
    {
        get => Rope.Theta;
        init => Rope = Rope with { Theta = value };
    }

    internal RopeSettings Rope { get; init; } = new DefaultRope(10000);

    /// <summary>What such a model is called in messages.</summary>
    internal abstract string Kind { get; }

    /// <summary>The family in the words of <c>model_type</c>.</summary>
    internal abstract string Family { get; }

    /// <summary>Makes the parts of the decoder.</summary>
    internal virtual DecoderParts Parts => new(this);

    /// <summary>Whether the projections to queries, keys and values have biases.</summary>
    internal virtual bool InputBias => false;

    /// <summary>Whether the attention's output projection has a bias.</summary>
    internal virtual bool OutputBias => false;

    /// <summary>Whether the projections of the feed-forward part have biases.</summary>
    internal virtual bool FeedForwardBias => false;

    /// <summary>Whether each head's queries and keys are normalised before they are turned.</summary>
    internal virtual bool NormalizesHeads => false;

    /// <summary>The activation of the feed-forward part: the field that names it, the name where the field is missing, and all names that mean it.</summary>
    internal virtual (string Field, string Default, IReadOnlyList<string> Names) Activation => ("hidden_act", "silu", ["silu", "swish"]);

    /// <summary>What the products of queries and keys are multiplied with.</summary>
    internal virtual double QueryScale => 1 / Math.Sqrt(HeadDimension);

    /// <summary>The cap that attention scores are bent under; null for none.</summary>
    internal virtual double? ScoreCap => null;

    /// <summary>The cap that logits are bent under; null for none.</summary>
    internal virtual double? LogitCap => null;

    /// <summary>How many positions a token looks at, itself included; null for all.</summary>
    internal virtual int? Window => null;

    /// <summary>What the layer at a place sees.</summary>
    internal virtual LayerReach ReachOf(int layer) => new(Window, Rope);

    /// <summary>How queries, keys and values are mixed.</summary>
    internal ScaledAttention Attention => new(Heads, KeyValueHeads, HeadDimension, QueryScale) { SoftCap = ScoreCap, Dropout = AttentionDropout };

    /// <summary>Checks that the sizes are positive and fit each other.</summary>
    /// <exception cref="ArgumentException">They do not; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        foreach ((string name, int size) in new[]
        {
            (nameof(VocabularySize), VocabularySize), (nameof(HiddenSize), HiddenSize), (nameof(IntermediateSize), IntermediateSize), (nameof(Layers), Layers),
            (nameof(Heads), Heads), (nameof(KeyValueHeads), KeyValueHeads), (nameof(HeadDimension), HeadDimension), (nameof(MaxPositions), MaxPositions),
        })
        {
            if (size < 1) problems.Add($"{name} must be at least 1, but is {size}.");
        }
        if (Heads > 0 && KeyValueHeads > 0 && Heads % KeyValueHeads != 0) problems.Add($"Heads must be a multiple of KeyValueHeads ({KeyValueHeads}), but is {Heads}.");
        if (HeadDimension % 2 != 0) problems.Add($"HeadDimension must be even, since rotary positions turn components in pairs, but is {HeadDimension}.");
        if (AttentionDropout is not (>= 0 and < 1)) problems.Add(FormattableString.Invariant($"AttentionDropout must be at least 0 and below 1, but is {AttentionDropout}."));
        if (!(NormEpsilon > 0 && double.IsFinite(NormEpsilon))) problems.Add(FormattableString.Invariant($"NormEpsilon must be above 0, but is {NormEpsilon}."));
        if (!(RopeTheta > 0 && double.IsFinite(RopeTheta))) problems.Add(FormattableString.Invariant($"RopeTheta must be above 0, but is {RopeTheta}."));
        if (Window < 1) problems.Add($"SlidingWindow must be at least 1, or null for none, but is {Window}.");
        AddProblems(problems);
        if (problems.Count > 0) throw new ArgumentException($"There is no such {Kind}:{string.Concat(problems.Select(p => $"\n  - {p}"))}");
    }

    /// <summary>Adds what is wrong with the settings of the family alone.</summary>
    private protected virtual void AddProblems(List<string> problems)
    {
    }

    /// <summary>Reads the rotary positions.</summary>
    private protected virtual RopeSettings ReadRope(ConfigReader file) => RopeReader.Read(file, Kind);

    /// <summary>Reads a file of one family.</summary>
    /// <param name="path">The <c>config.json</c>.</param>
    /// <param name="type">The family's <c>model_type</c>.</param>
    /// <param name="make">Makes the configuration of the fields.</param>
    private protected static T Read<T>(string path, string type, Func<ConfigReader, T> make)
        where T : DecoderConfig
    {
        ConfigReader file = ModelTypeReader.Open(path, type, typeof(CausalLanguageModel));
        T config = make(file);
        (string field, string usual, IReadOnlyList<string> names) = config.Activation;
        string activation = file.Text(field, usual)!;
        file.Require(names.Contains(activation), $"{field} is \"{activation}\", but a {config.Kind} has \"{usual}\".");
        file.ThrowIfWrong();
        int heads = config.Heads;
        file.Require(heads % config.KeyValueHeads == 0, $"num_attention_heads ({heads}) is no multiple of num_key_value_heads ({config.KeyValueHeads}).");
        file.Require(config.HeadDimension % 2 == 0, $"head_dim ({config.HeadDimension}) is odd, but rotary positions turn components in pairs.");
        file.Require(
            (long)heads * config.HeadDimension <= ConfigReader.LargestSize,
            $"num_attention_heads ({heads}) of the width head_dim ({config.HeadDimension}) must have at most {ConfigReader.LargestSize} components together.");
        // Where the family has a width of its own, the heads need not share the hidden size out.
        file.Require(
            file.Has("head_dim") || config.HiddenSize % heads == 0 || config.HeadDimension != config.HiddenSize / heads,
            $"hidden_size ({config.HiddenSize}) is no multiple of num_attention_heads ({heads}), and head_dim is not given.");
        file.ThrowIfWrong();
        return config;
    }
}
