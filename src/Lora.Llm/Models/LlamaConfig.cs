using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a Llama, as its <c>config.json</c> gives it.</summary>
public sealed record LlamaConfig
{
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

    /// <summary>Whether the projections of the attention have biases (<c>attention_bias</c>).</summary>
    /// <value>False by default.</value>
    public bool AttentionBias { get; init; }

    /// <summary>Whether the projections of the feed-forward part have biases (<c>mlp_bias</c>).</summary>
    /// <value>False by default.</value>
    public bool MlpBias { get; init; }

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

    /// <summary>The base of the rotary positions (<c>rope_theta</c>).</summary>
    /// <value>10000 by default.</value>
    public double RopeTheta
    {
        get => Rope.Theta;
        init => Rope = Rope with { Theta = value };
    }

    internal RopeSettings Rope { get; init; } = new DefaultRope(10000);

    /// <summary>Reads a <c>config.json</c> of transformers 4 (<c>rope_theta</c> and <c>rope_scaling</c>) or 5 (<c>rope_parameters</c>).</summary>
    /// <param name="path">The file; a <c>generation_config.json</c> beside it is read too.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no Llama's, or fields are missing, wrong or contradict each other; all are listed.</exception>
    public static LlamaConfig FromFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ConfigReader file = ConfigReader.Open(path);
        file.Require(file.Has("model_type"), "model_type is missing.");
        string type = file.Text("model_type", "llama")!;
        // The fields of another kind of model have other names: a list of those that are missing would say nothing.
        if (type != "llama") throw new AdapterFormatException(path, $"model_type is \"{type}\", but this version supports \"llama\" alone.");
        string activation = file.Text("hidden_act", "silu")!;
        file.Require(activation is "silu" or "swish", $"hidden_act is \"{activation}\", but a Llama has \"silu\".");

        int heads = file.Count("num_attention_heads"), hidden = file.Count("hidden_size");
        var config = new LlamaConfig
        {
            VocabularySize = file.Count("vocab_size"),
            HiddenSize = hidden,
            IntermediateSize = file.Count("intermediate_size"),
            Layers = file.Count("num_hidden_layers"),
            Heads = heads,
            KeyValueHeads = file.Count("num_key_value_heads", heads),
            HeadDimension = file.Count("head_dim", Math.Max(1, hidden / heads)),
            MaxPositions = file.Count("max_position_embeddings", 2048),
            NormEpsilon = file.Number("rms_norm_eps", 1e-6),
            TieEmbeddings = file.Truth("tie_word_embeddings", false),
            AttentionBias = file.Truth("attention_bias", false),
            MlpBias = file.Truth("mlp_bias", false),
            BeginTokenId = file.TokenIds("bos_token_id") is [int begin, ..] ? begin : null,
            EndTokenIds = EndTokens(file, path),
            PadTokenId = file.Whole("pad_token_id"),
            Rope = RopeReader.Read(file),
        };
        file.ThrowIfWrong();
        file.Require(config.Heads % config.KeyValueHeads == 0, $"num_attention_heads ({heads}) is no multiple of num_key_value_heads ({config.KeyValueHeads}).");
        file.Require(config.HeadDimension % 2 == 0, $"head_dim ({config.HeadDimension}) is odd, but rotary positions turn components in pairs.");
        file.Require(file.Has("head_dim") || hidden % heads == 0, $"hidden_size ({hidden}) is no multiple of num_attention_heads ({heads}), and head_dim is not given.");
        file.ThrowIfWrong();
        return config;
    }

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
        if (!(NormEpsilon > 0 && double.IsFinite(NormEpsilon))) problems.Add(FormattableString.Invariant($"NormEpsilon must be above 0, but is {NormEpsilon}."));
        if (!(RopeTheta > 0 && double.IsFinite(RopeTheta))) problems.Add(FormattableString.Invariant($"RopeTheta must be above 0, but is {RopeTheta}."));
        if (problems.Count > 0) throw new ArgumentException($"There is no such Llama:{string.Concat(problems.Select(p => $"\n  - {p}"))}");
    }

    private static IReadOnlyList<int> EndTokens(ConfigReader file, string path)
    {
        string beside = Path.Combine(Path.GetDirectoryName(path) ?? "", "generation_config.json");
        if (File.Exists(beside))
        {
            ConfigReader generation = ConfigReader.Open(beside);
            IReadOnlyList<int> ids = generation.TokenIds("eos_token_id");
            generation.ThrowIfWrong();
            if (ids.Count > 0) return ids;
        }
        return file.TokenIds("eos_token_id");
    }
}
