using Lora.Llm.Blocks;
using Lora.Llm.Loading;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// A ViT that classifies images (Dosovitskiy et al. 2021): the modules have the paths of transformers' <c>ViTForImageClassification</c>, such as
/// <c>vit.layers.0.attention.q_proj</c>, so adapters of PEFT fit; see <see cref="ViTConfig.ClassicNames"/>.
/// </summary>
public sealed class ViTModel : ImageClassifier
{
    private readonly Func<ScalarType> _type;

    [ComponentName(Name = "vit")]
    private nn.Module<Tensor, Tensor> _body;

    [ComponentName(Name = "classifier")]
    private nn.Module<Tensor, Tensor> _head;

    /// <summary>Creates a model with random weights: matrices and embeddings from N(0, <see cref="ViTConfig.InitializerRange"/>²), biases zero, norms at one.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="dataType">The type of its weights; float32 when null.</param>
    /// <param name="device">Where it lives; the CPU when null.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other, or the type is no floating-point type.</exception>
    public ViTModel(ViTConfig config, ScalarType? dataType = null, Device? device = null)
        : this(config, dataType ?? ScalarType.Float32, device ?? CPU) => FreshWeights.Fill(this, config.InitializerRange);

    // The types are not nullable here: this one leaves the weights unset.
    private ViTModel(ViTConfig config, ScalarType type, Device place)
        : base(nameof(ViTModel))
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        WeightType.ThrowIfWrong(type);
        Config = config;
        _body = new ViTBody(config, type, place);
        Linear classifier = UnfilledLayers.Linear(config.HiddenSize, config.Labels.Count, hasBias: true, type, place);
        _type = () => classifier.weight!.dtype;
        _head = classifier;
        RegisterComponents();
    }

    /// <summary>The model's shape.</summary>
    public ViTConfig Config { get; }

    /// <summary>
    /// Whether images of other sizes are taken too, at least one patch high and wide: the learned positions are resized to them bicubically, which is transformers'
    /// <c>interpolate_pos_encoding</c>. Otherwise they are refused.
    /// </summary>
    /// <value>False by default.</value>
    public bool InterpolatesPositions { get; set; }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels => Config.Labels;

    /// <inheritdoc/>
    public override ProblemType? ProblemType => Config.ProblemType;

    /// <inheritdoc/>
    public override string? ModelFamily => "vit";

    /// <summary>Loads a Hugging Face folder: <c>config.json</c> with <c>model.safetensors</c>, or with several files and their index.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type, device and labels; null for the defaults.</param>
    /// <param name="classicNames">Whether the modules have the paths of transformers 4, see <see cref="ViTConfig.ClassicNames"/>.</param>
    /// <returns>The model, in evaluation mode.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, or configuration and weights do not agree; every problem is listed.</exception>
    /// <exception cref="ArgumentException">The type of the options is no floating-point type, or their labels are none.</exception>
    public static ViTModel FromPretrained(string folder, PretrainedOptions? options = null, bool classicNames = false)
    {
        ViTConfig config = ViTConfig.FromFile(FolderLoader.ConfigOf(folder)) with { ClassicNames = classicNames };
        if (options?.Labels is IReadOnlyList<string> labels) config = config with { Labels = FreshHeads.Checked(labels), ProblemType = null };
        return FolderLoader.Load(
            folder, options, config.Layers, (type, place) => new ViTModel(config, type, place),
            names => VisionLoader.Rules("vit", "embeddings.", names, options, config.InitializerRange, name => ViTNames.Of(name, classicNames)));
    }

    /// <summary>Classifies images.</summary>
    /// <param name="pixels">Pixel values of a floating-point type, scaled and normalised as the model was trained, shape <c>[batch, channels, height, width]</c>.</param>
    /// <returns>Logits, shape <c>[batch, labels]</c>.</returns>
    /// <exception cref="ArgumentException">The pixels have another shape or type than they should.</exception>
    public override Tensor forward(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        Tensor given = VisionLoader.Checked(pixels, Config.Channels, _type());
        (long height, long width) = (pixels.shape[2], pixels.shape[3]);
        if (!InterpolatesPositions && (height != Config.ImageSize || width != Config.ImageSize))
        {
            throw new ArgumentException(
                $"The images are {height} x {width} pixels, but this ViT was made for {Config.ImageSize} x {Config.ImageSize}: resize them, or set {nameof(InterpolatesPositions)}.", nameof(pixels));
        }
        if (Math.Min(height, width) < Config.PatchSize) throw new ArgumentException($"The images are {height} x {width} pixels, less than one patch of {Config.PatchSize} x {Config.PatchSize}.", nameof(pixels));
        return _head.call(_body.call(given).select(1, 0)).MoveToOuterDisposeScope();
    }
}
