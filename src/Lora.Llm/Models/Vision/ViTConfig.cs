using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a ViT, as its <c>config.json</c> gives it.</summary>
public sealed record ViTConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    public ViTConfig()
    {
    }

    [SetsRequiredMembers]
    private ViTConfig(ConfigReader file)
    {
        // What files leave out has the sizes of ViT-Base, as in transformers.
        HiddenSize = file.Size("hidden_size", 768);
        IntermediateSize = file.Size("intermediate_size", 3072);
        Layers = file.Layers("num_hidden_layers", 12);
        Heads = file.Count("num_attention_heads", 12);
        ImageSize = file.Size("image_size", 224);
        PatchSize = file.Size("patch_size", 16);
        Channels = file.Size("num_channels", 3);
        QueryKeyValueBias = file.Truth("qkv_bias", true);
        NormEpsilon = file.Number("layer_norm_eps", 1e-12);
        Activation = file.Text("hidden_act", "gelu")!;
        HiddenDropout = file.Fraction("hidden_dropout_prob", 0);
        AttentionDropout = file.Fraction("attention_probs_dropout_prob", 0);
        InitializerRange = file.Number("initializer_range", 0.02);
        (Labels, ProblemType) = LabelReader.Read(file);
    }

    /// <summary>The width of the hidden states (<c>hidden_size</c>), a multiple of <see cref="Heads"/>.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The inner width of the feed-forward part (<c>intermediate_size</c>).</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The number of layers (<c>num_hidden_layers</c>).</summary>
    public required int Layers { get; init; }

    /// <summary>The number of attention heads (<c>num_attention_heads</c>).</summary>
    public required int Heads { get; init; }

    /// <summary>The height and the width of the images in pixels (<c>image_size</c>), a multiple of <see cref="PatchSize"/>.</summary>
    public required int ImageSize { get; init; }

    /// <summary>The height and the width of a patch in pixels (<c>patch_size</c>).</summary>
    public required int PatchSize { get; init; }

    /// <summary>The number of channels of the images (<c>num_channels</c>).</summary>
    /// <value>3 by default.</value>
    public int Channels { get; init; } = 3;

    /// <summary>Whether the projections to queries, keys and values have biases (<c>qkv_bias</c>).</summary>
    /// <value>True by default.</value>
    public bool QueryKeyValueBias { get; init; } = true;

    /// <summary>The ε of the norms (<c>layer_norm_eps</c>).</summary>
    /// <value>1e-12 by default.</value>
    public double NormEpsilon { get; init; } = 1e-12;

    /// <summary>The activation of the feed-forward part (<c>hidden_act</c>).</summary>
    /// <value><c>gelu</c> by default.</value>
    public string Activation { get; init; } = "gelu";

    /// <summary>The share of hidden values that are dropped in training (<c>hidden_dropout_prob</c>).</summary>
    /// <value>0 by default.</value>
    public double HiddenDropout { get; init; }

    /// <summary>The share of attention weights that are dropped in training (<c>attention_probs_dropout_prob</c>).</summary>
    /// <value>0 by default.</value>
    public double AttentionDropout { get; init; }

    /// <summary>The standard deviation of fresh weights (<c>initializer_range</c>).</summary>
    /// <value>0.02 by default.</value>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>The names of the classes (<c>id2label</c>), in the order of the logits.</summary>
    /// <value><c>LABEL_0</c> and <c>LABEL_1</c> by default.</value>
    public IReadOnlyList<string> Labels { get; init; } = LabelReader.Unnamed(2);

    /// <summary>What the labels mean (<c>problem_type</c>).</summary>
    /// <value>Null by default: their number and type tell.</value>
    public ProblemType? ProblemType { get; init; }

    /// <summary>
    /// Whether the modules have the paths of transformers 4 (<c>vit.encoder.layer.0.attention.attention.query</c>) instead of those of version 5
    /// (<c>vit.layers.0.attention.q_proj</c>). Adapters are saved with these paths, so that one of version 4 fits a model with them alone. The files of base models do
    /// not tell: both versions write the same.
    /// </summary>
    /// <value>False by default.</value>
    public bool ClassicNames { get; init; }

    /// <summary>Checks that the sizes are positive and fit each other.</summary>
    /// <exception cref="ArgumentException">They do not; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        foreach ((string name, int size) in new[]
        {
            (nameof(HiddenSize), HiddenSize), (nameof(IntermediateSize), IntermediateSize), (nameof(Layers), Layers), (nameof(Heads), Heads),
            (nameof(ImageSize), ImageSize), (nameof(PatchSize), PatchSize), (nameof(Channels), Channels),
        })
        {
            if (size < 1) problems.Add($"{name} must be at least 1, but is {size}.");
        }
        if (problems.Count == 0) problems.AddRange(Contradictions(nameof(HiddenSize), nameof(Heads), nameof(ImageSize), nameof(PatchSize)));
        if (!(NormEpsilon > 0 && double.IsFinite(NormEpsilon))) problems.Add(FormattableString.Invariant($"NormEpsilon must be above 0, but is {NormEpsilon}."));
        if (Activations.Find(Activation) is null) problems.Add($"Activation must be one of {string.Join(", ", Activations.Names)}, but is \"{Activation}\".");
        foreach ((string name, double share) in new[] { (nameof(HiddenDropout), HiddenDropout), (nameof(AttentionDropout), AttentionDropout) })
            if (share is not (>= 0 and < 1)) problems.Add(FormattableString.Invariant($"{name} must be at least 0 and below 1, but is {share}."));
        if (LabelReader.Problem(Labels) is string labels) problems.Add($"Labels: {labels}");
        if (problems.Count > 0) throw new ArgumentException($"There is no such ViT:{string.Concat(problems.Select(p => $"\n  - {p}"))}");
    }

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The configuration, with the paths of transformers 5.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no ViT's, or fields are wrong, not supported or contradict each other; all are listed.</exception>
    public static ViTConfig FromFile(string path)
    {
        ConfigReader file = ModelTypeReader.Open(path, "vit", typeof(ImageClassifier));
        var config = new ViTConfig(file);
        file.Require(Activations.Find(config.Activation) is not null, $"hidden_act is \"{config.Activation}\", but this version supports {string.Join(", ", Activations.Names)}.");
        file.ThrowIfWrong();
        foreach (string problem in config.Contradictions("hidden_size", "num_attention_heads", "image_size", "patch_size")) file.Require(false, problem);
        file.ThrowIfWrong();
        return config;
    }

    private IEnumerable<string> Contradictions(string width, string heads, string image, string patch)
    {
        if (HiddenSize % Heads != 0) yield return $"{width} ({HiddenSize}) is no multiple of {heads} ({Heads}).";
        if ((Int128)Channels * PatchSize * PatchSize > ConfigReader.LargestSize) yield return $"{patch} ({PatchSize}) of {Channels} channels must have at most {ConfigReader.LargestSize} numbers.";
        long across = ImageSize / PatchSize;
        if (across * across > ConfigReader.LargestSize) yield return $"{image} ({ImageSize}) must have at most {ConfigReader.LargestSize} patches, but has {across} × {across}.";
        if (ImageSize % PatchSize != 0) yield return $"{image} ({ImageSize}) is no multiple of {patch} ({PatchSize}).";
    }
}
