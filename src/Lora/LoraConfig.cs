using Lora.Parts;
using Lora.Targeting;
using Lora.Variants;

namespace Lora;

/// <summary>
/// The settings of one adapter. Immutable; change a copy by <c>config with { Rank = 16 }</c>. Two configurations are equal when all their
/// settings are, collections included.
/// </summary>
/// <remarks>Nothing is refused while it is set, so that a foreign file can be read before it is criticised: see <see cref="Validate"/>.</remarks>
public sealed record LoraConfig
{
    private readonly PatternTable<int> _rankPattern = PatternTable<int>.Empty;
    private readonly PatternTable<double> _alphaPattern = PatternTable<double>.Empty;
    private readonly SettingList<int> _layersToTransform = SettingList<int>.Empty;
    private readonly SettingList<string> _layersPattern = SettingList<string>.Empty;
    private readonly SettingList<string> _modulesToSave = SettingList<string>.Empty;
    private readonly SettingList<LayerRange> _layerReplication = SettingList<LayerRange>.Empty;
    private readonly SettingList<int> _invocationTokens = SettingList<int>.Empty;

    /// <summary>The rank of the update: A is <c>[rank, in]</c>, B is <c>[out, rank]</c>. PEFT calls it <c>r</c>.</summary>
    /// <value>8 by default.</value>
    public int Rank { get; init; } = 8;

    /// <summary>The numerator of the update's scale; see <see cref="Scaling"/>. PEFT calls it <c>lora_alpha</c>.</summary>
    /// <value>8 by default.</value>
    public double Alpha { get; init; } = 8;

    /// <summary>The probability with which an element of the update's input is dropped in training. PEFT calls it <c>lora_dropout</c>.</summary>
    /// <value>0 by default.</value>
    public double Dropout { get; init; }

    /// <summary>The modules that get an adapter. PEFT calls it <c>target_modules</c>.</summary>
    /// <value>None by default; it must be set.</value>
    public ModuleSelector? TargetModules { get; init; }

    /// <summary>
    /// Raw parameters of two or three dimensions that get an adapter, such as the stacked weights of experts, by names made with
    /// <see cref="ModuleSelector.EndsWith"/>: <c>experts.w_up</c>, or the end of a longer path. A matrix is <c>[out, in]</c>; three dimensions are
    /// <c>[experts, out, in]</c>, or <c>[experts, in, out]</c> where the module has a true property or field <c>IsTransposed</c> or <c>is_transposed</c>.
    /// <see cref="RankPattern"/> and <see cref="AlphaPattern"/> are looked up by the parameter's name. PEFT calls it <c>target_parameters</c>.
    /// </summary>
    /// <value>None by default. <see cref="TargetModules"/> need not be set beside it.</value>
    public ModuleSelector? TargetParameters { get; init; }

    /// <summary>Modules that get no adapter although <see cref="TargetModules"/> picks them. PEFT calls it <c>exclude_modules</c>.</summary>
    /// <value>None by default.</value>
    public ModuleSelector? ExcludedModules { get; init; }

    /// <summary>
    /// The numbers of the layers that <see cref="TargetModules"/> counts for, such as 3 for <c>model.layers.3.self_attn.q_proj</c>. The first number in a path
    /// decides, or that behind a name in <see cref="LayersPattern"/>. A path that is named in full is picked whatever its number. PEFT calls it
    /// <c>layers_to_transform</c>, and does not find numbers right at a model's root (<c>layers.0.q_proj</c>), which are found here.
    /// </summary>
    /// <value>Empty by default: all layers.</value>
    public IReadOnlyList<int> LayersToTransform
    {
        get => _layersToTransform;
        init => _layersToTransform = SettingList<int>.Of(value);
    }

    /// <summary>
    /// Names, or patterns in Python's syntax, of the lists of layers that <see cref="LayersToTransform"/> counts in; the first that is in a path decides.
    /// PEFT calls it <c>layers_pattern</c>.
    /// </summary>
    /// <value>Empty by default: the first numbered part of a path.</value>
    public IReadOnlyList<string> LayersPattern
    {
        get => _layersPattern;
        init => _layersPattern = SettingList<string>.Of(value);
    }

    /// <summary>
    /// Modules that are trained in full and saved with the adapter: each adapter has a copy of their parameters, which takes the place of the model's own while
    /// the adapter is active. A name is a path or its end behind a dot. PEFT calls it <c>modules_to_save</c>.
    /// </summary>
    /// <value>Empty by default.</value>
    public IReadOnlyList<string> ModulesToSave
    {
        get => _modulesToSave;
        init => _modulesToSave = SettingList<string>.Of(value);
    }

    /// <summary>
    /// Single rows of embeddings that are trained and saved with the adapter; while it is active they take the place of the model's rows, in an output head
    /// that shares the embedding's weight too. PEFT calls it <c>trainable_token_indices</c>.
    /// </summary>
    /// <value>Null by default.</value>
    public TrainableTokens? TrainableTokens { get; init; }

    /// <summary>
    /// The stack of layers that takes the place of the model's own, as ranges of its layers: <c>[new(0, 4), new(2, 6)]</c> runs layers 0 to 3 and then 2 to 5.
    /// Repeated layers share their weights and have adapters of their own. The model must be an <see cref="IReplicatesLayers"/>. PEFT calls it
    /// <c>layer_replication</c>.
    /// </summary>
    /// <value>Empty by default: the model's layers as they are.</value>
    public IReadOnlyList<LayerRange> LayerReplication
    {
        get => _layerReplication;
        init => _layerReplication = SettingList<LayerRange>.Of(value);
    }

    /// <summary>
    /// Whether a full copy (<see cref="ModulesToSave"/>) of an embedding also takes the place of its weight in an output head that shares it. Otherwise such a
    /// copy is refused, since the two would come apart. Where one of the two is a target, the embedding gets the adapter and the head uses its A and B as well:
    /// merged and unmerged they stay one weight. PEFT calls it <c>ensure_weight_tying</c>.
    /// </summary>
    /// <value>False by default.</value>
    public bool EnsureWeightTying { get; init; }

    /// <summary>Whether alpha is divided by the square root of the rank instead of the rank (rsLoRA). PEFT calls it <c>use_rslora</c>.</summary>
    /// <value>False by default.</value>
    public bool UseRankStabilizedScaling { get; init; }

    /// <summary>
    /// Ranks of single modules. A key is a regular expression in Python's syntax for a module's path or for its end behind a dot:
    /// <c>q_proj</c>, <c>layers\.[0-3]\.mlp\..*</c>, <c>^model.embed</c>. The first key that matches decides. PEFT calls it <c>rank_pattern</c>.
    /// </summary>
    /// <value>Empty by default. The given dictionary is copied in its order.</value>
    public IReadOnlyDictionary<string, int> RankPattern
    {
        get => _rankPattern;
        init => _rankPattern = value as PatternTable<int> ?? new(value ?? throw new ArgumentNullException(nameof(value)));
    }

    /// <summary>Alphas of single modules, by keys as in <see cref="RankPattern"/>. The two are looked up apart. PEFT calls it <c>alpha_pattern</c>.</summary>
    /// <value>Empty by default. The given dictionary is copied in its order.</value>
    public IReadOnlyDictionary<string, double> AlphaPattern
    {
        get => _alphaPattern;
        init => _alphaPattern = value as PatternTable<double> ?? new(value ?? throw new ArgumentNullException(nameof(value)));
    }

    /// <summary>
    /// Whether B has a bias c of its own: ΔW·x + s·c is added. Merging adds s·c to the bias of the base layer, which must have one. Not for embeddings.
    /// PEFT calls it <c>lora_bias</c>.
    /// </summary>
    /// <value>False by default.</value>
    public bool UseLoraBias { get; init; }

    /// <summary>The values that A and B of a fresh adapter start from. PEFT calls it <c>init_lora_weights</c>.</summary>
    /// <value><see cref="AdapterInitialization.Kaiming"/> by default.</value>
    public AdapterInitialization Initialization { get; init => field = value ?? throw new ArgumentNullException(nameof(value)); } = AdapterInitialization.Kaiming;

    /// <summary>
    /// Whether the length of each output's row of the weight trains apart from its direction (DoRA): W' = m ⊙ (W + ΔW) / ‖W + ΔW‖; see <see cref="DoraVariant"/>. For linear
    /// layers, embeddings and convolutions. PEFT calls it <c>use_dora</c>.
    /// </summary>
    /// <value>False by default.</value>
    public bool UseDora { get; init; }

    /// <summary>
    /// The tokens behind which the adapter acts (activated LoRA): in each sample from the beginning of their last occurrence on; before, and in samples without them, the base model
    /// computes. See <see cref="InvocationVariant"/>. For linear layers. PEFT calls it <c>alora_invocation_tokens</c>.
    /// </summary>
    /// <value>Empty by default: the adapter acts everywhere.</value>
    public IReadOnlyList<int> InvocationTokens
    {
        get => _invocationTokens;
        init => _invocationTokens = SettingList<int>.Of(value);
    }

    /// <summary>Which layers have a block-diagonal A or B (BD-LoRA). For linear layers. PEFT calls it <c>use_bdlora</c>.</summary>
    /// <value>Null by default: none.</value>
    public BlockDiagonalOptions? BlockDiagonal { get; init; }

    /// <summary>
    /// Makes the update one of singular values, s·B·diag(d)·A, in the place of the smallest singular values of the base weight (KaSA), with these weights of its regularisation; see
    /// <see cref="KasaVariant"/>. For linear layers. PEFT calls it <c>kasa_config</c>.
    /// </summary>
    /// <value>Null by default: plain LoRA.</value>
    public KasaOptions? Kasa { get; init; }

    /// <summary>Which biases of the base model are trained and saved with the adapter.</summary>
    /// <value><see cref="BiasKind.None"/> by default.</value>
    public BiasKind Bias { get; init; }

    /// <summary>
    /// Whether the base weights of token embedding and output head are saved with the adapter. PEFT decides it when it saves (<c>save_embedding_layers</c>),
    /// and does it where <see cref="TargetModules"/> names <c>embed_tokens</c> or <c>lm_head</c>. Only models that know these layers
    /// (<see cref="IHasTokenEmbedding"/>, <see cref="IHasOutputHead"/>) can.
    /// </summary>
    /// <value>Null by default: as PEFT decides.</value>
    public bool? SaveEmbeddings { get; init; }

    /// <summary>The name or path of the base model, for the reader of the adapter's file; nothing is loaded from it.</summary>
    /// <value>None by default.</value>
    public string? BaseModelNameOrPath { get; init; }

    /// <summary>
    /// What the model is for, in PEFT's words such as <c>CAUSAL_LM</c>; for the reader of the adapter's file. With <c>SEQ_CLS</c> and <c>TOKEN_CLS</c> the modules
    /// called <c>classifier</c> and <c>score</c>, with <c>QUESTION_ANS</c> those called <c>qa_outputs</c> are trained in full where the model has one, as if they
    /// were named in <see cref="ModulesToSave"/>.
    /// </summary>
    /// <value>None by default.</value>
    public string? TaskType { get; init; }

    /// <summary>What the adapter's file says about its purpose. PEFT always writes true, whatever the adapter is for, and nothing depends on it.</summary>
    /// <value>True by default.</value>
    public bool InferenceMode { get; init; } = true;

    /// <summary>Makes a configuration for every linear layer.</summary>
    /// <param name="rank">The rank; 8 where not given.</param>
    /// <param name="alpha">Alpha; 8 where not given.</param>
    /// <returns>The configuration.</returns>
    public static LoraConfig AllLinear(int rank = 8, double alpha = 8) => new() { Rank = rank, Alpha = alpha, TargetModules = ModuleSelector.AllLinear };

    /// <summary>Computes the factor by which an update is multiplied: alpha / rank, or alpha / √rank with <see cref="UseRankStabilizedScaling"/>.</summary>
    /// <param name="rank">The rank of one layer's adapter.</param>
    /// <param name="alpha">The alpha of one layer's adapter.</param>
    /// <returns>The factor.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="rank"/> is not positive.</exception>
    public double Scaling(int rank, double alpha)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rank);
        return alpha / (UseRankStabilizedScaling ? Math.Sqrt(rank) : rank);
    }

    /// <summary>Returns the rank for one module: that of the first matching key of <see cref="RankPattern"/>, else <see cref="Rank"/>.</summary>
    /// <param name="path">The module's path in its model.</param>
    /// <returns>The rank.</returns>
    /// <exception cref="InvalidOperationException">A key is not a valid regular expression, or one was given up since it took too long.</exception>
    public int RankFor(string path) => _rankPattern.ValueFor(path, Rank);

    /// <summary>Returns alpha for one module: that of the first matching key of <see cref="AlphaPattern"/>, else <see cref="Alpha"/>.</summary>
    /// <param name="path">The module's path in its model.</param>
    /// <returns>Alpha.</returns>
    /// <exception cref="InvalidOperationException">A key is not a valid regular expression, or one was given up since it took too long.</exception>
    public double AlphaFor(string path) => _alphaPattern.ValueFor(path, Alpha);

    /// <summary>Says whether a module is picked by <see cref="TargetModules"/> and not by <see cref="ExcludedModules"/>.</summary>
    /// <param name="path">The module's path in its model.</param>
    /// <returns>Whether it gets an adapter, if it is of a kind that can have one.</returns>
    /// <exception cref="InvalidOperationException">A regular expression was given up since it took too long.</exception>
    public bool Selects(string path) =>
        TargetModules?.Matches(path) == true && ExcludedModules?.Matches(path) != true && !SavedModules.Holds(ModulesToSave, path) && LayerFilter.Of(this, asPeft: false).Accepts(path);

    /// <summary>Checks all settings.</summary>
    /// <exception cref="ArgumentException">At least one setting is invalid; the message lists every one that is.</exception>
    public void Validate()
    {
        string[] problems = [.. Problems()];
        if (problems.Length > 0)
        {
            throw new ArgumentException($"The adapter's configuration cannot be used:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}");
        }
    }

    internal IEnumerable<string> Problems()
    {
        if (Rank < 1)
        {
            yield return $"Rank must be at least 1, but is {Rank}.";
        }

        if (!double.IsFinite(Alpha))
        {
            yield return FormattableString.Invariant($"Alpha must be a finite number, but is {Alpha}.");
        }

        if (Dropout is not (>= 0 and <= 1))
        {
            yield return FormattableString.Invariant($"Dropout must be a probability from 0 to 1, but is {Dropout}.");
        }

        if (TargetParameters is not null && TargetParameters.Names is null)
        {
            yield return $"TargetParameters is {TargetParameters}, but only names can pick parameters: use ModuleSelector.EndsWith.";
        }

        if (TargetParameters is not null && Dropout > 0)
        {
            yield return FormattableString.Invariant($"Dropout is {Dropout}, but a parameter has no input that could be dropped: it must be 0 with TargetParameters.");
        }

        if (UseLoraBias && Initialization is { PeftName: not (null or "false") })
        {
            yield return $"UseLoraBias is true, which goes with the initialisations Kaiming and TorchDefault only, but {Initialization.Name} is asked for.";
        }

        if (Initialization is { WritesBase: true, ChangesBase: false })
        {
            yield return $"Initialization.WritesBase is true, but {Initialization.Name} takes nothing off the base weights: leave it out.";
        }

        if (TargetModules is null && TargetParameters is null)
        {
            yield return "TargetModules is not set; use ModuleSelector.EndsWith(\"q_proj\", \"v_proj\"), for example, or LoraConfig.AllLinear().";
        }

        if (ExcludedModules is not null && ExcludedModules.Equals(ModuleSelector.AllLinear))
        {
            yield return "ExcludedModules cannot be AllLinear; name the modules to leave out.";
        }

        if (!Enum.IsDefined(Bias))
        {
            yield return $"Bias must be None, All or LoraOnly, but is {Bias}.";
        }

        foreach (string problem in LoraVariantKind.Problems(this))
        {
            yield return problem;
        }

        foreach (string problem in LayerFilter.Problems(this, ofFile: false))
        {
            yield return problem;
        }

        foreach (LayerRange range in LayerReplication.Where(range => range.Start < 0 || range.End <= range.Start))
        {
            yield return $"LayerReplication must hold ranges from a layer to a later one, but one goes from {range.Start} to {range.End}.";
        }

        foreach ((string pattern, int rank) in _rankPattern.Where(pair => pair.Value < 1))
        {
            yield return $"RankPattern must hold ranks of at least 1, but '{pattern}' has {rank}.";
        }

        foreach ((string pattern, double alpha) in _alphaPattern.Where(pair => !double.IsFinite(pair.Value)))
        {
            yield return FormattableString.Invariant($"AlphaPattern must hold finite numbers, but '{pattern}' has {alpha}.");
        }

        foreach (string problem in _rankPattern.Problems())
        {
            yield return $"RankPattern: {problem}.";
        }

        foreach (string problem in _alphaPattern.Problems())
        {
            yield return $"AlphaPattern: {problem}.";
        }

        foreach (string problem in TrainableTokens?.Problems() ?? [])
        {
            yield return $"TrainableTokens: {problem}.";
        }
    }
}
