using Lora.Layers;
using Lora.Targeting;

namespace Lora;

/// <summary>How <see cref="LoraModel"/> attaches adapters to a model.</summary>
public sealed record WrapOptions
{
    private readonly PatternTable<long> _paddingIndices = PatternTable<long>.Empty;

    /// <summary>The adapter's name.</summary>
    /// <value><c>default</c> by default, as in PEFT.</value>
    public string AdapterName { get; init; } = LoraModel.DefaultAdapter;

    /// <summary>
    /// Whether a layer whose field cannot hold another module is reached by a forward hook instead. Hooks fire in <c>call</c> only, so a model that uses
    /// <c>forward</c> on such a layer is found out after its first training pass.
    /// </summary>
    /// <value>True by default.</value>
    public bool AllowHooks { get; init; } = true;

    /// <summary>Whether adapted layers may stay unreached in the first training pass, as in a model that does not run all its parts every time.</summary>
    /// <value>False by default.</value>
    public bool AllowUnreached { get; init; }

    /// <summary>
    /// Whether adapters over half-precision weights are float32: the small numbers that training adds would be lost in them. Otherwise adapters have the type
    /// of the weights. PEFT calls it <c>autocast_adapter_dtype</c>.
    /// </summary>
    /// <value>True by default.</value>
    public bool UpcastAdapters { get; init; } = true;

    /// <summary>Kinds of layers that the library does not know, or knows otherwise.</summary>
    /// <value>Empty by default.</value>
    public IReadOnlyList<LoraLayerKind> LayerKinds { get; init; } = [];

    /// <summary>
    /// The padding indices of embeddings, which TorchSharp does not tell: the column of A for that index receives no gradient, though its value counts. A key is a
    /// pattern as in <see cref="LoraConfig.RankPattern"/>; a negative index counts from the end.
    /// </summary>
    /// <value>Empty by default. The given dictionary is copied in its order.</value>
    public IReadOnlyDictionary<string, long> PaddingIndices
    {
        get => _paddingIndices;
        init => _paddingIndices = value as PatternTable<long> ?? new(value ?? throw new ArgumentNullException(nameof(value)));
    }

    /// <summary>The padding index of the embedding at a path, or null.</summary>
    internal long? PaddingIndexFor(string path) => _paddingIndices.ValueFor(path, long.MinValue) is long index and not long.MinValue ? index : null;

    /// <summary>
    /// Whether <c>eval()</c> merges the active adapters and <c>train()</c> unmerges them, so that evaluation costs what the base model's does. The weights of before
    /// are kept meanwhile, as with <see cref="MergeOptions.KeepOriginal"/>, so that going back and forth changes nothing. What merging forbids, such as
    /// disabling, is done in training mode then. Weights saved in evaluation mode are the merged ones.
    /// </summary>
    /// <value>False by default.</value>
    public bool MergeInEvaluation { get; init; }

    /// <summary>
    /// Whether the model's weights already lack what the initialisation of a saved adapter took off them (W − s·B₀·A₀), as a base does that PEFT saved beside such an adapter. The
    /// adapter is then loaded as it is. See <see cref="AdapterInitialization.ChangesBase"/>.
    /// </summary>
    /// <value>False by default: the weights are the original ones.</value>
    public bool BaseIsResidual { get; init; }

    /// <summary>
    /// Whether an adapter computes once in evaluation mode what follows from weights alone, such as the norm of DoRA, where no gradient is asked for. It is forgotten on every
    /// <c>train()</c> and <c>eval()</c>, on a pass with gradients, and on every change that this library makes. Numbers that are written into base weights or adapters in place,
    /// without any of these, are not noticed: call <c>eval()</c> afterwards. Adapters of plain LoRA have nothing to keep.
    /// </summary>
    /// <value>False by default.</value>
    public bool CacheInEvaluation { get; init; }

    /// <summary>Whether the adapter's parameters require gradients.</summary>
    /// <value>True by default.</value>
    public bool IsTrainable { get; init; } = true;
}
