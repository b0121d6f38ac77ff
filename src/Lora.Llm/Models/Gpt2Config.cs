using System.Diagnostics.CodeAnalysis;
using Lora.Combining;
using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a GPT-2, as its <c>config.json</c> gives it.</summary>
public sealed record Gpt2Config
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    public Gpt2Config()
    {
    }

    [SetsRequiredMembers]
    private Gpt2Config(ConfigReader file)
    {
        Heads = file.Count(file.NameOf("n_head", "num_attention_heads"));
        HiddenSize = file.Size(file.NameOf("n_embd", "hidden_size"));
        VocabularySize = file.Size("vocab_size");
        Layers = file.Layers(file.NameOf("n_layer", "num_hidden_layers"));
        MaxPositions = file.Size(file.NameOf("n_positions", "max_position_embeddings"), 1024);
        InnerSize = (file.Has("n_inner") ? file.Size("n_inner") : 4 * HiddenSize);
        Activation = file.Text("activation_function", "gelu_new")!;
        NormEpsilon = file.Number("layer_norm_epsilon", 1e-5);
        TieEmbeddings = file.Truth("tie_word_embeddings", true);
        ScaleAttentionWeights = file.Truth("scale_attn_weights", true);
        ScaleAttentionByInverseLayer = file.Truth("scale_attn_by_inverse_layer_idx", false);
        ReorderAndUpcastAttention = file.Truth("reorder_and_upcast_attn", false);
        EmbeddingDropout = file.Fraction("embd_pdrop", 0.1);
        ResidualDropout = file.Fraction("resid_pdrop", 0.1);
        AttentionDropout = file.Fraction("attn_pdrop", 0.1);
        BeginTokenId = file.Says("bos_token_id") ? file.TokenIds("bos_token_id") is [int begin, ..] ? begin : null : 50256;
        EndTokenIds = EndTokenReader.Read(file, 50256);
    }

    /// <summary>The number of entries of the vocabulary (<c>vocab_size</c>).</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The width of the residual stream (<c>n_embd</c>).</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The inner width of the feed-forward part (<c>n_inner</c>), four times the width of the residual stream as a rule.</summary>
    public required int InnerSize { get; init; }

    /// <summary>The number of layers (<c>n_layer</c>).</summary>
    public required int Layers { get; init; }

    /// <summary>The number of heads (<c>n_head</c>), a divisor of <see cref="HiddenSize"/>.</summary>
    public required int Heads { get; init; }

    /// <summary>The number of positions that have an embedding (<c>n_positions</c>). Longer texts are refused.</summary>
    /// <value>1024 by default.</value>
    public int MaxPositions { get; init; } = 1024;

    /// <summary>The activation of the feed-forward part (<c>activation_function</c>): gelu_new, gelu, gelu_pytorch_tanh, relu, silu, swish or tanh.</summary>
    /// <value>gelu_new by default.</value>
    public string Activation { get; init; } = "gelu_new";

    /// <summary>The ε of the layer norms (<c>layer_norm_epsilon</c>).</summary>
    /// <value>1e-5 by default.</value>
    public double NormEpsilon { get; init; } = 1e-5;

    /// <summary>Whether the output head uses the weight of the token embedding (<c>tie_word_embeddings</c>).</summary>
    /// <value>True by default.</value>
    public bool TieEmbeddings { get; init; } = true;

    /// <summary>Whether attention scores are divided by the root of a head's width (<c>scale_attn_weights</c>).</summary>
    /// <value>True by default.</value>
    public bool ScaleAttentionWeights { get; init; } = true;

    /// <summary>Whether the scores of the n-th layer are divided by n besides (<c>scale_attn_by_inverse_layer_idx</c>).</summary>
    /// <value>False by default.</value>
    public bool ScaleAttentionByInverseLayer { get; init; }

    /// <summary>Whether a model in half precision computes attention scores in float32 (<c>reorder_and_upcast_attn</c>).</summary>
    /// <value>False by default.</value>
    public bool ReorderAndUpcastAttention { get; init; }

    /// <summary>The share of the embeddings that training drops (<c>embd_pdrop</c>).</summary>
    /// <value>0.1 by default.</value>
    public double EmbeddingDropout { get; init; } = 0.1;

    /// <summary>The share of what attention and feed-forward add that training drops (<c>resid_pdrop</c>).</summary>
    /// <value>0.1 by default.</value>
    public double ResidualDropout { get; init; } = 0.1;

    /// <summary>The share of the attention's weights that training drops (<c>attn_pdrop</c>).</summary>
    /// <value>0.1 by default.</value>
    public double AttentionDropout { get; init; } = 0.1;

    /// <summary>The tokens that end a text (<c>eos_token_id</c>); those of <c>generation_config.json</c> where it names any.</summary>
    /// <value>None by default.</value>
    public IReadOnlyList<int> EndTokenIds { get; init; } = [];

    /// <summary>The token that begins a text (<c>bos_token_id</c>).</summary>
    /// <value>None by default.</value>
    public int? BeginTokenId { get; init; }

    /// <summary>Checks that the sizes are positive and fit each other.</summary>
    /// <exception cref="ArgumentException">They do not; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        foreach ((string name, int size) in new[]
        {
            (nameof(VocabularySize), VocabularySize), (nameof(HiddenSize), HiddenSize), (nameof(InnerSize), InnerSize), (nameof(Layers), Layers),
            (nameof(Heads), Heads), (nameof(MaxPositions), MaxPositions),
        })
        {
            if (size < 1) problems.Add($"{name} must be at least 1, but is {size}.");
        }
        if (Heads > 0 && HiddenSize % Heads != 0) problems.Add($"HiddenSize must be a multiple of Heads ({Heads}), but is {HiddenSize}.");
        if (Activations.Find(Activation) is null) problems.Add($"Activation must be one of {Words.And([.. Activations.Names])}, but is {Activation}.");
        if (!(NormEpsilon > 0 && double.IsFinite(NormEpsilon))) problems.Add(FormattableString.Invariant($"NormEpsilon must be above 0, but is {NormEpsilon}."));
        foreach ((string name, double share) in new[] { (nameof(EmbeddingDropout), EmbeddingDropout), (nameof(ResidualDropout), ResidualDropout), (nameof(AttentionDropout), AttentionDropout) })
        {
            if (share is not (>= 0 and < 1)) problems.Add(FormattableString.Invariant($"{name} must be at least 0 and below 1, but is {share}."));
        }
        if (problems.Count > 0) throw new ArgumentException($"There is no such GPT-2:{string.Concat(problems.Select(p => $"\n  - {p}"))}");
    }

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <param name="path">The file; a <c>generation_config.json</c> beside it is read too.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no GPT-2's, or fields are missing, wrong, not supported or contradict each other; all are listed.</exception>
    public static Gpt2Config FromFile(string path)
    {
        ConfigReader file = ModelTypeReader.Open(path, "gpt2", typeof(CausalLanguageModel));
        var config = new Gpt2Config(file);
        file.Require(
            Activations.Find(config.Activation) is not null, $"activation_function is \"{config.Activation}\", but this version supports {Words.And([.. Activations.Names.Select(name => $"\"{name}\"")])}.");
        file.Require(!file.Truth("add_cross_attention", false), "add_cross_attention is true, but this version supports decoders without an encoder alone.");
        file.Require(!file.IsRight || config.HiddenSize % config.Heads == 0, $"n_embd ({config.HiddenSize}) is no multiple of n_head ({config.Heads}).");
        file.ThrowIfWrong();
        return config;
    }

    /// <summary>How the layer at a place mixes queries, keys and values.</summary>
    internal ScaledAttention AttentionOf(int layer)
    {
        int width = HiddenSize / Heads;
        double scale = (ScaleAttentionWeights ? 1 / Math.Sqrt(width) : 1) / (ScaleAttentionByInverseLayer ? layer + 1 : 1);
        return new(Heads, Heads, width, scale) { Dropout = AttentionDropout, Upcasts = ReorderAndUpcastAttention };
    }
}
