using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Optimization;

/// <summary>
/// The gradient on the manifold of matrices of rank r: ∇A ← (BᵀB + ρ·I)⁻¹·∇A and ∇B ← ∇B·(AAᵀ + ρ·I)⁻¹, computed in float32 at least (Zhang and Pilanci 2024,
/// "Riemannian Preconditioned LoRA for Fine-Tuning Foundation Models").
/// </summary>
/// <param name="damping">The ρ, above 0. PEFT calls it <c>reg</c>.</param>
public sealed class RiemannianPreconditioner(double damping = 1e-2) : GradientPreconditioner
{
    private readonly double _damping = double.IsFinite(damping) && damping > 0 ? damping : throw new ArgumentOutOfRangeException(nameof(damping), damping, "The damping must be a finite number above 0.");

    /// <inheritdoc/>
    protected internal override string? Obstacle(LoraAdapter pair) => PairShape.Obstacle(pair);

    /// <inheritdoc/>
    protected internal override void Apply(LoraAdapter pair, Tensor? down, Tensor? up)
    {
        ArgumentNullException.ThrowIfNull(pair);
        Tensor a = Wide(pair.A).flatten(1), b = Wide(pair.B).flatten(1);
        // Both from the gradients and factors of before.
        Tensor? newDown = down is null ? null : Solve(b.t().matmul(b), _damping, Wide(down));
        Tensor? newUp = up is null ? null : Solve(a.matmul(a.t()), _damping, Wide(up).t()).t();
        if (newDown is not null) down!.copy_(newDown);
        if (newUp is not null) up!.copy_(newUp);
    }
}
