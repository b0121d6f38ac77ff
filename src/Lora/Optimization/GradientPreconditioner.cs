using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Optimization;

/// <summary>Changes the gradients of a pair A, B before an optimizer uses them.</summary>
public abstract class GradientPreconditioner
{
    /// <summary>Changes the gradients of one pair in place. Gradients are off, and new tensors belong to a scope of the caller's.</summary>
    /// <param name="pair">The pair.</param>
    /// <param name="down">The gradient of A as <c>[r, n]</c>, or null where A has none.</param>
    /// <param name="up">The gradient of B as <c>[m, r]</c>, or null where B has none.</param>
    protected internal abstract void Apply(LoraAdapter pair, Tensor? down, Tensor? up);

    /// <summary>What a pair must be like, as a clause that follows "which"; null where the pair is.</summary>
    /// <param name="pair">The pair.</param>
    protected internal virtual string? Obstacle(LoraAdapter pair) => null;

    /// <summary>A tensor as a matrix in float32 at least.</summary>
    private protected static Tensor Wide(Tensor tensor) => tensor.dtype == ScalarType.Float64 ? tensor.detach() : tensor.detach().to(ScalarType.Float32);

    /// <summary>(M + ρ·I)⁻¹·N for a symmetric M.</summary>
    private protected static Tensor Solve(Tensor matrix, double damping, Tensor right) =>
        linalg.solve(matrix.add(eye(matrix.shape[0], dtype: matrix.dtype, device: matrix.device).mul(damping)), right);
}
