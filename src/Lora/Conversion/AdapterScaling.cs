using Lora.Serialization;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>
/// Rewrites the scale of saved adapters: the same ΔW = s·B·A by another convention. The files are PEFT's two; source and destination may be the same folder.
/// </summary>
/// <remarks>
/// The conventions are s = alpha / r, s = alpha / √r (<see cref="LoraConfig.UseRankStabilizedScaling"/>), and a number of its own, as mlx-lm has it, which is alpha / r with alpha = s·r. What a file holds
/// beside factors and settings of scale is copied as it is.
/// </remarks>
public static class AdapterScaling
{
    private static readonly string[] _plainStarts = ["true", "false", "null", "\"gaussian\"", "\"orthogonal\"", "\"eva\"", "\"mica\""];

    /// <summary>Multiplies each layer's scale into its B, so that the scale is 1: alpha becomes the rank.</summary>
    /// <param name="source">The adapter's folder.</param>
    /// <param name="destination">Where it is written.</param>
    /// <exception cref="AdapterFormatException">The adapter is damaged, or its layers' scales cannot be told.</exception>
    /// <exception cref="IOException">A file cannot be written; what was there before is whole.</exception>
    public static void Fold(string source, string destination) => Rewrite(source, destination, rescales: true, (config, _) => config with
    {
        Alpha = config.Rank,
        AlphaPattern = new PatternTable<double>(config.RankPattern.Select(pair => KeyValuePair.Create(pair.Key, (double)pair.Value))),
        UseRankStabilizedScaling = false,
    });

    /// <summary>Divides each layer's B so that its scale is that of a given alpha. It is the way back from <see cref="Fold"/>.</summary>
    /// <param name="source">The adapter's folder.</param>
    /// <param name="destination">Where it is written.</param>
    /// <param name="alpha">The new alpha of all layers, other than 0.</param>
    /// <param name="useRankStabilizedScaling">Whether the new scale is alpha / √r instead of alpha / r.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="alpha"/> is 0 or not finite.</exception>
    /// <exception cref="AdapterFormatException">The adapter is damaged, or its layers' scales cannot be told.</exception>
    /// <exception cref="IOException">A file cannot be written; what was there before is whole.</exception>
    public static void Unfold(string source, string destination, double alpha, bool useRankStabilizedScaling = false)
    {
        if (alpha == 0 || !double.IsFinite(alpha)) throw new ArgumentOutOfRangeException(nameof(alpha), alpha, "Alpha must be a finite number other than 0.");
        Rewrite(source, destination, rescales: true, (config, _) => config with { Alpha = alpha, AlphaPattern = new Dictionary<string, double>(), UseRankStabilizedScaling = useRankStabilizedScaling });
    }

    /// <summary>Says s = alpha / √r instead of alpha / r, with alphas that give the same scales. The factors stay as they are, bit for bit.</summary>
    /// <param name="source">The adapter's folder.</param>
    /// <param name="destination">Where it is written.</param>
    /// <exception cref="AdapterFormatException">The adapter is damaged, or its layers' scales cannot be told.</exception>
    /// <exception cref="IOException">A file cannot be written; what was there before is whole.</exception>
    public static void ToRankStabilized(string source, string destination) => Rewrite(source, destination, rescales: false, (config, layers) => WithScales(config, layers, stabilized: true));

    /// <summary>Says s = alpha / r instead of alpha / √r, with alphas that give the same scales. The factors stay as they are, bit for bit.</summary>
    /// <param name="source">The adapter's folder.</param>
    /// <param name="destination">Where it is written.</param>
    /// <exception cref="AdapterFormatException">The adapter is damaged, or its layers' scales cannot be told.</exception>
    /// <exception cref="IOException">A file cannot be written; what was there before is whole.</exception>
    public static void ToPlain(string source, string destination) => Rewrite(source, destination, rescales: false, (config, layers) => WithScales(config, layers, stabilized: false));

    /// <summary>The scale of a layer of an adapter's file.</summary>
    internal static double ScaleOf(LoraConfig config, string path) => config.Scaling(config.RankFor(path), config.AlphaFor(path));

    /// <summary>What prevents that the scales of layers are told, or that a factor stands for it alone.</summary>
    internal static IEnumerable<string> Problems(AdapterFolder folder, IReadOnlyList<FilePair> tensors)
    {
        if (folder.File.Fields.TryGetValue("init_lora_weights", out var start) && !_plainStarts.Contains(start.GetRawText()))
            yield return $"init_lora_weights is {start.GetRawText()}, with which the base holds another part of the update: convert the adapter to a plain one first";
        LoraConfig config = folder.Config;
        if (config.RankPattern.Count == 0 && config.AlphaPattern.Count == 0) yield break;
        if (config.TargetParameters is not null) yield return "target_parameters is set beside rank_pattern or alpha_pattern, and the file does not tell which tensor belongs to which parameter";
        else if (tensors.FirstOrDefault(tensor => tensor.IsNested) is FilePair nested) yield return $"rank_pattern or alpha_pattern is set, and the file does not tell what holds for {nested.Entry.Name}, which is inside another layer";
    }

    private static LoraConfig WithScales(LoraConfig config, IReadOnlyList<string> layers, bool stabilized)
    {
        LoraConfig target = config with { UseRankStabilizedScaling = stabilized };
        double AlphaFor(int rank, double alpha) => config.Scaling(rank, alpha) / target.Scaling(rank, 1);
        if (config.RankPattern.Count == 0)
            return target with { Alpha = AlphaFor(config.Rank, config.Alpha), AlphaPattern = new PatternTable<double>(config.AlphaPattern.Select(pair => KeyValuePair.Create(pair.Key, AlphaFor(config.Rank, pair.Value)))) };
        // Ranks and alphas are looked up apart, so that only the layers themselves tell which go together.
        LoraConfig exact = ExactConfig.Of(target, [.. layers.Select(path => (path, config.RankFor(path), AlphaFor(config.RankFor(path), config.AlphaFor(path))))], layers);
        return target with { Rank = exact.Rank, Alpha = exact.Alpha, RankPattern = exact.RankPattern, AlphaPattern = exact.AlphaPattern };
    }

    private static void Rewrite(string source, string destination, bool rescales, Func<LoraConfig, IReadOnlyList<string>, LoraConfig> change)
    {
        ArgumentException.ThrowIfNullOrEmpty(source);
        ArgumentException.ThrowIfNullOrEmpty(destination);
        using AdapterFolder folder = AdapterFolder.Open(source);
        IReadOnlyList<FilePair> tensors = FilePair.Of(folder.Weights);
        string[] problems = [.. Problems(folder, tensors)];
        if (problems.Length > 0) throw new AdapterFormatException(source, problems);
        LoraConfig config = change(folder.Config, [.. tensors.Where(tensor => tensor.IsDown).Select(tensor => tensor.Path)]);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        KeyValuePair<string, Tensor>[] written = [.. tensors.Select(tensor => KeyValuePair.Create(
            tensor.Entry.Name, rescales && tensor.IsUp ? Scaled(folder.Weights.ReadTensor(tensor.Entry.Name), ScaleOf(folder.Config, tensor.Path) / ScaleOf(config, tensor.Path)) : folder.Weights.ReadTensor(tensor.Entry.Name)))];
        AdapterFolder.Save(destination, folder.File.With(config), written, folder.Weights.Metadata.Where(pair => pair.Key != "format"));
    }

    /// <summary>A tensor times a factor, rounded once.</summary>
    internal static Tensor Scaled(Tensor tensor, double factor) => factor.Equals(1) ? tensor : tensor.to(ScalarType.Float64).mul(factor).to(tensor.dtype);
}
