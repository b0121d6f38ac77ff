using Lora.Serialization;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>
/// EVA: A is the directions in which the layer's inputs vary most, B is zero, and the ranks go to the layers where they explain most (Paischer et al. 2024, "One
/// Initialization to Rule them All: Fine-tuning via Explained Variance Adaptation"). The sum of the ranks stays what the configuration gives; a layer to which none goes
/// gets no adapter.
/// </summary>
/// <remarks>
/// The passes are run in turns until the directions stand still. Layers with the same input share one decomposition. What comes out is written into
/// <see cref="LoraConfig.RankPattern"/> and <see cref="LoraConfig.AlphaPattern"/>, as in PEFT.
/// </remarks>
public sealed record EvaInitialization : CalibratedInitialization
{
    /// <summary>How many times its rank a layer can get at most; 1 for no redistribution.</summary>
    /// <value>2 by default.</value>
    public double Rho { get; init; } = 2;

    /// <summary>From which cosine between a direction before and after a pass on it counts as standing still.</summary>
    /// <value>0.99 by default.</value>
    public double Tau { get; init; } = 0.99;

    /// <summary>Whether each direction is divided by the square root of its singular value.</summary>
    /// <value>False by default.</value>
    public bool Whiten { get; init; }

    /// <summary>Whether alpha changes with the rank, so that the scale of each layer stays what it is. PEFT calls it <c>adjust_scaling_factors</c>.</summary>
    /// <value>True by default.</value>
    public bool AdjustScale { get; init; } = true;

    /// <summary>After how many passes to give up.</summary>
    /// <value>10000 by default.</value>
    public int MaximumPasses { get; init; } = 10_000;

    // PEFT's label masks, which a pass's own mask takes the place of here: kept for the file.
    internal SettingList<string> Further { get; init; } = SettingList<string>.Of(["\"label_mask_value\":-100", "\"use_label_mask\":true"]);

    internal override string PeftName => "eva";

    internal override IEnumerable<KeyValuePair<string, string>> Fields =>
    [
        new("eva_config", PythonJson.Object(
        [
            $"\"adjust_scaling_factors\":{PythonJson.Truth(AdjustScale)}", $"\"rho\":{PythonJson.Float(Rho)}", $"\"tau\":{PythonJson.Float(Tau)}", $"\"whiten\":{PythonJson.Truth(Whiten)}",
            .. Further,
        ])),
        new("init_lora_weights", "\"eva\""),
    ];

    /// <inheritdoc/>
    protected internal override string? Obstacle(AdapterShape shape) => base.Obstacle(shape)
        ?? (Rho is >= 1 and < double.PositiveInfinity ? null : FormattableString.Invariant($"cannot start from {Name}: {nameof(Rho)} must be at least 1, but is {Rho}"))
        ?? (Tau is > 0 and <= 1 ? null : FormattableString.Invariant($"cannot start from {Name}: {nameof(Tau)} must be above 0 and at most 1, but is {Tau}"));

    /// <inheritdoc/>
    protected internal override void Initialize(AdapterStart start) => start.Set(start.Statistic, zeros_like(start.Adapter.B));

    internal override Calibration Calibrate(IReadOnlyList<CalibratedLayer> layers, LoraConfig config)
    {
        using var search = new EvaSearch(this, layers);
        search.Run();
        var ranks = new OrderedDictionary<string, int>(StringComparer.Ordinal);
        var alphas = new OrderedDictionary<string, double>(StringComparer.Ordinal);
        var statistics = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        // The longest first: a pattern also matches the ends of other paths.
        foreach (CalibratedLayer layer in layers.OrderByDescending(layer => layer.Path.Length))
        {
            int rank = search.RankOf(layer);
            if (rank == 0) continue;
            double alpha = AdjustScale ? layer.Alpha * AlphaFactor(config, layer.Rank, rank) : layer.Alpha;
            if (rank != config.Rank) ranks.Add(layer.Path, rank);
            if (!alpha.Equals(config.Alpha)) alphas.Add(layer.Path, alpha);
            statistics.Add(layer.Path, search.Directions(layer, rank, Whiten));
        }
        return new Calibration(WithRanks(config, layers, statistics, ranks, alphas), statistics);
    }

    // The scale alpha / r, or alpha / √r, stays what it was.
    private static double AlphaFactor(LoraConfig config, int rank, int newRank) =>
        config.UseRankStabilizedScaling ? Math.Sqrt((double)newRank / rank) : (double)newRank / rank;

    private static LoraConfig WithRanks(
        LoraConfig config, IReadOnlyList<CalibratedLayer> layers, Dictionary<string, Tensor> kept, OrderedDictionary<string, int> ranks, OrderedDictionary<string, double> alphas)
    {
        // A path that ends as a longer one does would be matched by the shorter's key, unless the longer has one of its own.
        foreach (CalibratedLayer layer in layers.Where(layer => kept.ContainsKey(layer.Path)))
        {
            if (!ranks.ContainsKey(layer.Path) && new PatternTable<int>(ranks).ValueFor(layer.Path, config.Rank) != config.Rank) ranks.Insert(0, layer.Path, config.Rank);
            if (!alphas.ContainsKey(layer.Path) && !new PatternTable<double>(alphas).ValueFor(layer.Path, config.Alpha).Equals(config.Alpha)) alphas.Insert(0, layer.Path, config.Alpha);
        }
        return config with
        {
            RankPattern = new PatternTable<int>(ranks),
            AlphaPattern = new PatternTable<double>(alphas),
            TargetModules = kept.Count == layers.Count ? config.TargetModules : ModuleSelector.EndsWith(layers.Where(layer => kept.ContainsKey(layer.Path)).Select(layer => layer.Path)),
        };
    }
}
