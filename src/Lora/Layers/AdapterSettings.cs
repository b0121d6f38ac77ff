using Lora.Variants;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>What one layer takes from a <see cref="LoraConfig"/>, its patterns resolved.</summary>
public sealed record AdapterSettings
{
    /// <summary>The rank r, at least 1.</summary>
    public required int Rank { get; init; }

    /// <summary>The numerator of the scale.</summary>
    public required double Alpha { get; init; }

    /// <summary>The factor s of ΔW = s·B·A.</summary>
    public required double Scale { get; init; }

    /// <summary>The probability with which an element of the adapter's input is dropped in training, from 0 to 1.</summary>
    public double Dropout { get; init; }

    /// <summary>Whether B has a bias of its own, which is scaled as the product is. PEFT calls it <c>lora_bias</c>.</summary>
    public bool HasBias { get; init; }

    /// <summary>For an embedding, the index whose column of A receives no gradient, counted from the end where it is negative; null for none.</summary>
    public long? PaddingIndex { get; init; }

    /// <summary>For an embedding, whether an output head over its weight has the same adapter.</summary>
    internal bool SharesWithHead { get; init; }

    /// <summary>How many blocks A has, beyond which it is zero; 1 for a whole matrix.</summary>
    internal int DownBlocks { get; init; } = 1;

    /// <summary>Whether A is made of blocks, though it may be of one.</summary>
    internal bool HasDownBlocks { get; init; }

    /// <summary>How many blocks B has.</summary>
    internal int UpBlocks { get; init; } = 1;

    /// <summary>The variant of LoRA; null for LoRA itself.</summary>
    internal LoraVariantKind? Variant { get; init; }

    /// <summary>Whether a variant keeps in evaluation what it computes from weights alone; see <see cref="WrapOptions.CacheInEvaluation"/>.</summary>
    internal bool CachesInEvaluation { get; init; }

    /// <summary>Whether A and B get their initial values; not where a file's values follow.</summary>
    internal bool Initialize { get; init; } = true;

    /// <summary>The weights that get a pair of their own, each with its settings, where a layer has several that can be adapted; null for all of them with these settings.</summary>
    internal IReadOnlyList<KeyValuePair<string, AdapterSettings>>? Parts { get; init; }

    /// <summary>The settings of the layer at <paramref name="path"/>.</summary>
    internal static AdapterSettings For(LoraConfig config, string path)
    {
        int rank = config.RankFor(path);
        double alpha = config.AlphaFor(path);
        var settings = new AdapterSettings
        {
            Rank = rank,
            Alpha = alpha,
            Scale = config.Scaling(rank, alpha),
            Dropout = config.Dropout,
            HasBias = config.UseLoraBias,
            Variant = LoraVariantKind.Of(config, path),
        };
        return config.BlockDiagonal?.Apply(settings, path) ?? settings;
    }

    /// <summary>The settings of a layer made by hand.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A setting is out of range.</exception>
    internal static AdapterSettings Of(int rank, double alpha, double dropout, bool useRankStabilizedScaling, bool hasBias = false, bool useDora = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rank);
        if (!double.IsFinite(alpha)) throw new ArgumentOutOfRangeException(nameof(alpha), alpha, "Alpha must be a finite number.");
        if (dropout is not (>= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(dropout), dropout, "Dropout must be a probability from 0 to 1.");
        if (useDora && hasBias) throw new ArgumentException("An adapter with DoRA cannot have a bias: a magnitude cannot rescale it.", nameof(hasBias));
        var config = new LoraConfig { UseRankStabilizedScaling = useRankStabilizedScaling };
        return new AdapterSettings { Rank = rank, Alpha = alpha, Scale = config.Scaling(rank, alpha), Dropout = dropout, HasBias = hasBias, Variant = useDora ? DoraKind.Instance : null };
    }

    /// <summary>Gives the type of an adapter over a weight. Half-precision weights get float32 adapters, as in PEFT: the small numbers that training adds would be lost in them.</summary>
    /// <param name="weight">The weight's type.</param>
    /// <returns>The type of A and B.</returns>
    public static ScalarType TypeOver(ScalarType weight) => weight is ScalarType.Float16 or ScalarType.BFloat16 ? ScalarType.Float32 : weight;
}
