using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a T5, as its <c>config.json</c> gives it.</summary>
public sealed record T5Config
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    public T5Config()
    {
    }

    [SetsRequiredMembers]
    private T5Config(ConfigReader file)
    {
        // What files leave out has the sizes of T5-small, as in transformers.
        VocabularySize = file.Size("vocab_size", 32128);
        HiddenSize = file.Size("d_model", 512);
        HeadDimension = file.Size("d_kv", 64);
        IntermediateSize = file.Size("d_ff", 2048);
        Layers = file.Layers("num_layers", 6);
        DecoderLayers = file.Has("num_decoder_layers") ? file.Layers("num_decoder_layers") : Layers;
        Heads = file.Size("num_heads", 8);
        RelativeBuckets = file.Size("relative_attention_num_buckets", 32);
        MaxRelativeDistance = file.Count("relative_attention_max_distance", 128);
        Dropout = file.Fraction("dropout_rate", 0.1);
        NormEpsilon = file.Number("layer_norm_epsilon", 1e-6);
        (Activation, IsGated) = ReadFeedForward(file);
        TieEmbeddings = file.Truth("tie_word_embeddings", true);
        // Files of transformers 4 say it by the tie; version 5 ties always and says it beside.
        ScaleDecoderOutputs = file.Truth("scale_decoder_outputs", TieEmbeddings);
        PadTokenId = file.Whole("pad_token_id") ?? 0;
        EndTokenIds = EndTokenReader.Read(file, 1);
        DecoderStartTokenId = file.Whole("decoder_start_token_id") ?? PadTokenId;
    }

    /// <summary>The number of entries of the vocabulary (<c>vocab_size</c>).</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The width of the residual stream (<c>d_model</c>).</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The inner width of the feed-forward part (<c>d_ff</c>).</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The number of the encoder's layers (<c>num_layers</c>).</summary>
    public required int Layers { get; init; }

    /// <summary>The number of the decoder's layers (<c>num_decoder_layers</c>).</summary>
    public required int DecoderLayers { get; init; }

    /// <summary>The number of heads (<c>num_heads</c>).</summary>
    public required int Heads { get; init; }

    /// <summary>The width of a head (<c>d_kv</c>). The heads need not share the hidden size out.</summary>
    public required int HeadDimension { get; init; }

    /// <summary>The number of buckets of relative positions (<c>relative_attention_num_buckets</c>), even.</summary>
    /// <value>32 by default.</value>
    public int RelativeBuckets { get; init; } = 32;

    /// <summary>The distance from which on all share the last bucket (<c>relative_attention_max_distance</c>).</summary>
    /// <value>128 by default.</value>
    public int MaxRelativeDistance { get; init; } = 128;

    /// <summary>The share of activations that training drops (<c>dropout_rate</c>).</summary>
    /// <value>0.1 by default.</value>
    public double Dropout { get; init; } = 0.1;

    /// <summary>The ε of the norms (<c>layer_norm_epsilon</c>).</summary>
    /// <value>1e-6 by default.</value>
    public double NormEpsilon { get; init; } = 1e-6;

    /// <summary>The activation of the feed-forward part (the end of <c>feed_forward_proj</c>), such as <c>relu</c>, <c>gelu_new</c> or <c>silu</c>.</summary>
    /// <value><c>relu</c> by default; <c>gelu_new</c> is that of T5 1.1 and Flan-T5.</value>
    public string Activation { get; init; } = "relu";

    /// <summary>Whether the feed-forward part has a gate (<c>feed_forward_proj</c> begins with <c>gated-</c>), as in T5 1.1 and Flan-T5.</summary>
    /// <value>False by default.</value>
    public bool IsGated { get; init; }

    /// <summary>Whether the output head uses the weight of the token embedding (<c>tie_word_embeddings</c>).</summary>
    /// <value>True by default; false for T5 1.1 and Flan-T5.</value>
    public bool TieEmbeddings { get; init; } = true;

    /// <summary>Whether the head's input is divided by √d_model (<c>scale_decoder_outputs</c>): what was pretrained with the tie needs it.</summary>
    /// <value>True by default; false for T5 1.1 and Flan-T5.</value>
    public bool ScaleDecoderOutputs { get; init; } = true;

    /// <summary>The token that fills up short texts (<c>pad_token_id</c>).</summary>
    /// <value>0 by default.</value>
    public int PadTokenId { get; init; }

    /// <summary>The tokens that end a text (<c>eos_token_id</c>); those of <c>generation_config.json</c> where it names any.</summary>
    /// <value>1 by default.</value>
    public IReadOnlyList<int> EndTokenIds { get; init; } = [1];

    /// <summary>The token that a written text starts behind (<c>decoder_start_token_id</c>).</summary>
    /// <value>0 by default; in a file without it the pad token.</value>
    public int DecoderStartTokenId { get; init; }

    /// <summary>Checks that the sizes are positive and fit each other.</summary>
    /// <exception cref="ArgumentException">They do not; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        foreach ((string name, int size) in new[]
        {
            (nameof(VocabularySize), VocabularySize), (nameof(HiddenSize), HiddenSize), (nameof(IntermediateSize), IntermediateSize), (nameof(Layers), Layers),
            (nameof(DecoderLayers), DecoderLayers), (nameof(Heads), Heads), (nameof(HeadDimension), HeadDimension),
        })
        {
            if (size < 1) problems.Add($"{name} must be at least 1, but is {size}.");
        }
        if (BucketProblem(nameof(RelativeBuckets), nameof(MaxRelativeDistance)) is string problem) problems.Add(problem);
        if (Dropout is not (>= 0 and < 1)) problems.Add(FormattableString.Invariant($"Dropout must be at least 0 and below 1, but is {Dropout}."));
        if (!(NormEpsilon > 0 && double.IsFinite(NormEpsilon))) problems.Add(FormattableString.Invariant($"NormEpsilon must be above 0, but is {NormEpsilon}."));
        if (Activations.Find(Activation) is null) problems.Add($"Activation must be one of {string.Join(", ", Activations.Names)}, but is \"{Activation}\".");
        if (TokenProblem(nameof(PadTokenId), PadTokenId) is string pad) problems.Add(pad);
        if (TokenProblem(nameof(DecoderStartTokenId), DecoderStartTokenId) is string start) problems.Add(start);
        if (problems.Count > 0) throw new ArgumentException($"There is no such T5:{string.Concat(problems.Select(p => $"\n  - {p}"))}");
    }

    /// <summary>Reads a <c>config.json</c> of transformers 4 or 5.</summary>
    /// <param name="path">The file; a <c>generation_config.json</c> beside it is read too.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no T5's, or fields are wrong, not supported or contradict each other; all are listed.</exception>
    public static T5Config FromFile(string path)
    {
        ConfigReader file = ModelTypeReader.Open(path, "t5", typeof(SequenceToSequenceModel));
        var config = new T5Config(file);
        file.ThrowIfWrong();
        file.Require(
            (long)config.Heads * config.HeadDimension <= ConfigReader.LargestSize, $"num_heads ({config.Heads}) of the width d_kv ({config.HeadDimension}) must have at most {ConfigReader.LargestSize} components together.");
        string? buckets = config.BucketProblem("relative_attention_num_buckets", "relative_attention_max_distance");
        file.Require(buckets is null, buckets ?? "");
        foreach (string? problem in new[] { config.TokenProblem("pad_token_id", config.PadTokenId), config.TokenProblem("decoder_start_token_id", config.DecoderStartTokenId) })
            file.Require(problem is null, problem ?? "");
        file.ThrowIfWrong();
        return config;
    }

    // The encoder halves the buckets, and half of what it has are for single distances.
    private string? BucketProblem(string count, string farthest) =>
        RelativeBuckets < 4 || RelativeBuckets % 2 != 0 ? $"{count} must be even and at least 4, but is {RelativeBuckets}."
        : MaxRelativeDistance <= RelativeBuckets / 2 ? $"{farthest} must be above half of {count} ({RelativeBuckets}), but is {MaxRelativeDistance}."
        : null;

    private string? TokenProblem(string name, int id) => id < 0 || id >= VocabularySize ? $"{name} must be a token of the vocabulary of {VocabularySize}, but is {id}." : null;

    private static (string Activation, bool IsGated) ReadFeedForward(ConfigReader file)
    {
        string text = file.Text("feed_forward_proj", "relu")!;
        bool gated = text.StartsWith("gated-", StringComparison.Ordinal);
        string name = text == "gated-gelu" ? "gelu_new" : gated ? text["gated-".Length..] : text;
        if (Activations.Find(name) is not null) return (name, gated);
        file.Require(false, $"feed_forward_proj is \"{text}\", but this version supports {string.Join(", ", Activations.Names)}, each with \"gated-\" before it or not.");
        return ("relu", gated);
    }
}
