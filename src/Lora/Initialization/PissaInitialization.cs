using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>
/// PiSSA: with the r largest singular values of W, W ≈ U·diag(S)·Vᵀ, B = U·√(S/s) and A = √(S/s)·Vᵀ, so that s·B·A is the principal part of W (Meng, Wang and Zhang 2024,
/// "PiSSA: Principal Singular Values and Singular Vectors Adaptation of Large Language Models").
/// </summary>
public sealed record PissaInitialization : AdapterInitialization
{
    /// <summary>The steps of a randomised decomposition, which is much faster for large weights; null for an exact one. PEFT calls it <c>pissa_niter_N</c>.</summary>
    /// <value>Null by default. 4 to 16 are usual.</value>
    public int? Iterations { get; init; }

    /// <summary>Where the random numbers of a randomised decomposition start, so that it can be repeated. PEFT takes them from the global generator.</summary>
    /// <value>0 by default.</value>
    public long Seed { get; init; }

    /// <inheritdoc/>
    public override bool ChangesBase => true;

    internal override string PeftName => Iterations is int count ? FormattableString.Invariant($"pissa_niter_{count}") : "pissa";

    internal override IEnumerable<KeyValuePair<string, string>> Fields => [new("init_lora_weights", $"\"{PeftName}\"")];

    // PEFT's random numbers are gone.
    internal override bool CanBeRepeated => Iterations is null;

    /// <inheritdoc/>
    protected internal override string? Obstacle(AdapterShape shape) => shape.UnlessLinear(Name)
        ?? (Iterations is < 1 ? $"cannot start from {Name}: {nameof(Iterations)} must be at least 1, or null" : shape.UnlessWithinRank(Name) ?? shape.UnlessPositiveScale(Name));

    /// <inheritdoc/>
    protected internal override void Initialize(AdapterStart start)
    {
        Tensor weight = start.Weight();
        long rank = start.Adapter.Rank;
        (Tensor u, Tensor s, Tensor vh) = Iterations is int iterations ? RandomizedSvd.Of(weight, rank, iterations, Seed) : linalg.svd(weight, fullMatrices: false);
        Tensor root = s.narrow(0, 0, rank).div(start.Adapter.InitialScale).sqrt();
        start.Set(root.unsqueeze(1).mul(vh.narrow(0, 0, rank)), u.narrow(1, 0, rank).mul(root));
    }
}
