using Lora.Llm.Blocks;
using Lora.Llm.Loading;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// A ResNet that classifies images (He et al. 2016): the modules have the paths of transformers' <c>ResNetForImageClassification</c>, such as
/// <c>resnet.encoder.stages.0.layers.0.layer.0.convolution</c>, so adapters of PEFT fit. Batch norms have running statistics, which are buffers: training mode follows
/// the batch and moves them, evaluation mode uses them.
/// </summary>
public sealed class ResNetModel : ImageClassifier
{
    private readonly Func<ScalarType> _type;

    [ComponentName(Name = "resnet")]
    private nn.Module<Tensor, Tensor> _body;

    [ComponentName(Name = "classifier")]
    private nn.Module<Tensor, Tensor> _head;

    /// <summary>
    /// Creates a model with random weights: convolutions from N(0, 2 / (channels out · kernel)) (He et al. 2015), batch norms at one and zero, the head as a linear layer of
    /// torch begins.
    /// </summary>
    /// <param name="config">Its shape.</param>
    /// <param name="dataType">The type of its weights; float32 when null.</param>
    /// <param name="device">Where it lives; the CPU when null.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other, or the type is no floating-point type.</exception>
    public ResNetModel(ResNetConfig config, ScalarType? dataType = null, Device? device = null)
        : this(config, dataType ?? ScalarType.Float32, device ?? CPU)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (Parameter parameter in this.parameters())
            if (parameter.dim() == 4) nn.init.kaiming_normal_(parameter, mode: nn.init.FanInOut.FanOut, nonlinearity: nn.init.NonlinearityType.ReLU);
    }

    // The types are not nullable here: this one leaves the weights to be filled.
    private ResNetModel(ResNetConfig config, ScalarType type, Device place)
        : base(nameof(ResNetModel))
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        WeightType.ThrowIfWrong(type);
        Config = config;
        _body = new ResNetBody(config, type, place);
        Linear classifier = nn.Linear(config.HiddenSizes[^1], config.Labels.Count, device: place, dtype: type);
        _type = () => classifier.weight!.dtype;
        _head = nn.Sequential(("0", nn.Flatten()), ("1", classifier));
        RegisterComponents();
    }

    /// <summary>The model's shape.</summary>
    public ResNetConfig Config { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels => Config.Labels;

    /// <inheritdoc/>
    public override ProblemType? ProblemType => Config.ProblemType;

    /// <inheritdoc/>
    public override string? ModelFamily => "resnet";

    /// <summary>Loads a Hugging Face folder: <c>config.json</c> with <c>model.safetensors</c>, or with several files and their index.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type, device and labels; null for the defaults.</param>
    /// <returns>The model, in evaluation mode, with the running statistics of the files.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, or configuration and weights do not agree; every problem is listed.</exception>
    /// <exception cref="ArgumentException">The type of the options is no floating-point type, or their labels are none.</exception>
    public static ResNetModel FromPretrained(string folder, PretrainedOptions? options = null)
    {
        ResNetConfig config = ResNetConfig.FromFile(FolderLoader.ConfigOf(folder));
        if (options?.Labels is IReadOnlyList<string> labels) config = config with { Labels = FreshHeads.Checked(labels), ProblemType = null };
        // The deviation that a linear layer of torch begins with.
        double deviation = 1 / Math.Sqrt(3.0 * config.HiddenSizes[^1]);
        return FolderLoader.Load(folder, options, config.Depths.Sum(depth => (long)depth), (type, place) => new ResNetModel(config, type, place), names => VisionLoader.Rules("resnet", "embedder.", names, options, deviation));
    }

    /// <summary>Classifies images.</summary>
    /// <param name="pixels">
    /// Pixel values of a floating-point type, scaled and normalised as the model was trained, shape <c>[batch, channels, height, width]</c>. Any height and width do.
    /// </param>
    /// <returns>Logits, shape <c>[batch, labels]</c>.</returns>
    /// <exception cref="ArgumentException">The pixels have another shape or type than they should.</exception>
    public override Tensor forward(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        Tensor given = VisionLoader.Checked(pixels, Config.Channels, _type());
        return _head.call(_body.call(given)).MoveToOuterDisposeScope();
    }
}
