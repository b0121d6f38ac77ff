using Lora.Combining;

namespace Lora;

/// <summary>
/// A way to make one adapter of several. With wᵢ the weight that is asked for and sᵢ the scale of an adapter, tᵢ = wᵢ·sᵢ, and the new adapter's scale is 1.
/// </summary>
/// <remarks>
/// Three families: <see cref="Cat"/> puts the factors side by side and is exact; <see cref="Linear"/>, <see cref="Ties"/>, <see cref="DareLinear"/>,
/// <see cref="DareTies"/> and <see cref="MagnitudePrune"/> combine the A's and the B's apart, weighted by sign(tᵢ)·√|tᵢ| and √|tᵢ|, so that the product also holds the cross terms
/// Bᵢ·Aⱼ and only one adapter alone comes out exactly; those ending in <c>Svd</c> combine the ΔW = sᵢ·Bᵢ·Aᵢ and take the best approximation of the rank that is asked for.
/// </remarks>
public abstract class CombineMethod
{
    private protected CombineMethod(string name) => Name = name;

    /// <summary>A's rows tᵢ·Aᵢ under each other and B's columns Bᵢ side by side: exactly Σ tᵢ·Bᵢ·Aᵢ, at the sum of the ranks.</summary>
    public static CombineMethod Cat { get; } = new Concatenation();

    /// <summary>Weighted sums of the A's and of the B's, which must be of one rank.</summary>
    public static CombineMethod Linear { get; } = new FactorCombination("linear", new Blend(null, new WeightedSum()));

    /// <summary>
    /// The best approximation of Σ tᵢ·Bᵢ·Aᵢ at the rank that is asked for, found from a QR decomposition of the stacked factors: ΔW itself is never formed.
    /// </summary>
    public static CombineMethod Svd { get; } = new StackedSvd();

    /// <summary>As <see cref="Linear"/>, of what is left after small values are pruned and signs are elected (Yadav et al. 2023, "TIES-Merging").</summary>
    public static CombineMethod Ties { get; } = new FactorCombination("ties", new Blend(new MagnitudePruning(), new SignElection()));

    /// <summary>The ΔW's pruned by size, signs elected, averaged where they agree, and approximated at the rank that is asked for.</summary>
    public static CombineMethod TiesSvd { get; } = new DeltaCombination("ties_svd", new Blend(new MagnitudePruning(), new SignElection()));

    /// <summary>As <see cref="Linear"/>, of values dropped at random, with the kept ones divided by the density (Yu et al. 2023, "Language Models are Super Mario", DARE).</summary>
    public static CombineMethod DareLinear { get; } = new FactorCombination("dare_linear", new Blend(new RandomPruning(), new WeightedSum()));

    /// <summary>The weighted sum of the ΔW's with values dropped at random, approximated at the rank that is asked for.</summary>
    public static CombineMethod DareLinearSvd { get; } = new DeltaCombination("dare_linear_svd", new Blend(new RandomPruning(), new WeightedSum()));

    /// <summary>As <see cref="Ties"/>, with values dropped at random as in <see cref="DareLinear"/> instead of the small ones.</summary>
    public static CombineMethod DareTies { get; } = new FactorCombination("dare_ties", new Blend(new RandomPruning(), new SignElection()));

    /// <summary>As <see cref="TiesSvd"/>, with values dropped at random instead of the small ones.</summary>
    public static CombineMethod DareTiesSvd { get; } = new DeltaCombination("dare_ties_svd", new Blend(new RandomPruning(), new SignElection()));

    /// <summary>As <see cref="Linear"/>, of the largest values of each A and each B.</summary>
    public static CombineMethod MagnitudePrune { get; } = new FactorCombination("magnitude_prune", new Blend(new MagnitudePruning(), new WeightedSum()));

    /// <summary>The weighted sum of the largest values of each ΔW, approximated at the rank that is asked for.</summary>
    public static CombineMethod MagnitudePruneSvd { get; } = new DeltaCombination("magnitude_prune_svd", new Blend(new MagnitudePruning(), new WeightedSum()));

    /// <summary>Every method.</summary>
    public static IReadOnlyList<CombineMethod> All { get; } =
        [Cat, Linear, Svd, Ties, TiesSvd, DareLinear, DareLinearSvd, DareTies, DareTiesSvd, MagnitudePrune, MagnitudePruneSvd];

    /// <summary>PEFT's name of the method, a <c>combination_type</c> such as <c>ties_svd</c>.</summary>
    public string Name { get; }

    /// <summary>How tensors of several adapters become one.</summary>
    internal abstract Blend Blend { get; }

    /// <summary>Whether the method ends in a decomposition, so that the rank is free.</summary>
    internal virtual bool ChoosesRank => false;

    /// <summary>Whether the adapters of a layer must be of one rank.</summary>
    internal virtual bool NeedsEqualRanks => false;

    /// <summary>Combines one layer's adapters. The tensors belong to the current dispose scope.</summary>
    internal abstract CombinedFactors Combine(IReadOnlyList<LayerSource> sources, CombineRun run);

    /// <summary>The rank that PEFT gives all layers, of adapters with these largest ranks.</summary>
    internal virtual int PeftRank(IReadOnlyList<int> ranks, CombineOptions options) => ranks[0];

    /// <inheritdoc/>
    public override string ToString() => Name;
}
