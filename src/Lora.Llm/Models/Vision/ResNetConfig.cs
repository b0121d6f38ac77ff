using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a ResNet, as its <c>config.json</c> gives it.</summary>
public sealed record ResNetConfig
{
    /// <summary>By how much a bottleneck narrows.</summary>
    internal const int Reduction = 4;

    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    public ResNetConfig()
    {
    }

    [SetsRequiredMembers]
    private ResNetConfig(ConfigReader file)
    {
        // What files leave out has the sizes of ResNet-50, as in transformers.
        Channels = file.Size("num_channels", 3);
        EmbeddingSize = file.Size("embedding_size", 64);
        HiddenSizes = file.Counts("hidden_sizes", [256, 512, 1024, 2048], ConfigReader.LargestSize);
        Depths = file.Counts("depths", [3, 4, 6, 3], ConfigReader.MostLayers);
        LayerKind = ReadKind(file);
        Activation = file.Text("hidden_act", "relu")!;
        DownsampleInFirstStage = file.Truth("downsample_in_first_stage", false);
        DownsampleInBottleneck = file.Truth("downsample_in_bottleneck", false);
        (Labels, ProblemType) = LabelReader.Read(file);
    }

    /// <summary>The number of channels after the first convolution (<c>embedding_size</c>).</summary>
    public required int EmbeddingSize { get; init; }

    /// <summary>The number of channels of each stage (<c>hidden_sizes</c>); multiples of 4 where the layers are bottlenecks.</summary>
    public required IReadOnlyList<int> HiddenSizes { get; init; }

    /// <summary>The number of layers of each stage (<c>depths</c>).</summary>
    public required IReadOnlyList<int> Depths { get; init; }

    /// <summary>What the layers are made of (<c>layer_type</c>).</summary>
    /// <value><see cref="ResNetLayerKind.Bottleneck"/> by default.</value>
    public ResNetLayerKind LayerKind { get; init; } = ResNetLayerKind.Bottleneck;

    /// <summary>The number of channels of the images (<c>num_channels</c>).</summary>
    /// <value>3 by default.</value>
    public int Channels { get; init; } = 3;

    /// <summary>The activation (<c>hidden_act</c>).</summary>
    /// <value><c>relu</c> by default.</value>
    public string Activation { get; init; } = "relu";

    /// <summary>Whether the first stage halves height and width too (<c>downsample_in_first_stage</c>); the others always do.</summary>
    /// <value>False by default.</value>
    public bool DownsampleInFirstStage { get; init; }

    /// <summary>Whether the first convolution of a bottleneck halves height and width, instead of that of 3 x 3 (<c>downsample_in_bottleneck</c>).</summary>
    /// <value>False by default.</value>
    public bool DownsampleInBottleneck { get; init; }

    /// <summary>The names of the classes (<c>id2label</c>), in the order of the logits.</summary>
    /// <value><c>LABEL_0</c> and <c>LABEL_1</c> by default.</value>
    public IReadOnlyList<string> Labels { get; init; } = LabelReader.Unnamed(2);

    /// <summary>What the labels mean (<c>problem_type</c>).</summary>
    /// <value>Null by default: their number and type tell.</value>
    public ProblemType? ProblemType { get; init; }

    /// <summary>Checks that the sizes are positive and fit each other.</summary>
    /// <exception cref="ArgumentException">They do not; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        foreach ((string name, IEnumerable<int> sizes) in new (string, IEnumerable<int>)[]
        {
            (nameof(EmbeddingSize), [EmbeddingSize]), (nameof(Channels), [Channels]), (nameof(HiddenSizes), HiddenSizes), (nameof(Depths), Depths),
        })
        {
            if (!sizes.Any()) problems.Add($"{name} must name at least one stage.");
            problems.AddRange(sizes.Where(size => size < 1).Select(size => $"{name} must be at least 1, but is {size}."));
        }
        problems.AddRange(Contradictions(nameof(HiddenSizes), nameof(Depths)));
        if (!Enum.IsDefined(LayerKind)) problems.Add($"LayerKind must be Basic or Bottleneck, but is {LayerKind}.");
        if (Activations.Find(Activation) is null) problems.Add($"Activation must be one of {string.Join(", ", Activations.Names)}, but is \"{Activation}\".");
        if (LabelReader.Problem(Labels) is string labels) problems.Add($"Labels: {labels}");
        if (problems.Count > 0) throw new ArgumentException($"There is no such ResNet:{string.Concat(problems.Select(p => $"\n  - {p}"))}");
    }

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no ResNet's, or fields are wrong, not supported or contradict each other; all are listed.</exception>
    public static ResNetConfig FromFile(string path)
    {
        ConfigReader file = ModelTypeReader.Open(path, "resnet", typeof(ImageClassifier));
        var config = new ResNetConfig(file);
        file.Require(Activations.Find(config.Activation) is not null, $"hidden_act is \"{config.Activation}\", but this version supports {string.Join(", ", Activations.Names)}.");
        file.ThrowIfWrong();
        foreach (string problem in config.Contradictions("hidden_sizes", "depths")) file.Require(false, problem);
        file.ThrowIfWrong();
        return config;
    }

    private IEnumerable<string> Contradictions(string sizes, string depths)
    {
        if (HiddenSizes.Count != Depths.Count) yield return $"{sizes} names {HiddenSizes.Count} stages, but {depths} {Depths.Count}.";
        if (LayerKind != ResNetLayerKind.Bottleneck) yield break;
        foreach (int size in HiddenSizes.Where(size => size % Reduction != 0))
            yield return $"{sizes} has {size}, but the channels of bottlenecks must be multiples of {Reduction}.";
    }

    private static ResNetLayerKind ReadKind(ConfigReader file)
    {
        string? text = file.Text("layer_type", "bottleneck");
        file.Require(text is "bottleneck" or "basic", $"layer_type is \"{text}\", but it must be \"basic\" or \"bottleneck\".");
        return text == "basic" ? ResNetLayerKind.Basic : ResNetLayerKind.Bottleneck;
    }
}
