using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Optimization;

/// <summary>
/// LoRA-FA: A stays as it is, and ∇B ← (1/s²)·∇B·(A·Aᵀ)⁻¹, which is the step of B that brings s·B·A nearest to the step of full fine-tuning (Zhang et al. 2023, "LoRA-FA: Memory-efficient
/// Low-rank Adaptation for Large Language Models Fine-tuning", and PEFT's optimizer of that name).
/// </summary>
/// <remarks>Freeze A before: <c>foreach (var pair in lora.Pairs()) pair.A.requires_grad = false;</c>. The activations that A's gradient needs are not kept then.</remarks>
public sealed class LoraFaPreconditioner : GradientPreconditioner
{
    // As PEFT has it.
    private const double Damping = 1e-8;

    /// <inheritdoc/>
    protected internal override string? Obstacle(LoraAdapter pair)
    {
        ArgumentNullException.ThrowIfNull(pair);
        if (pair.A.requires_grad) return "trains A, which LoRA-FA keeps as it is: set requires_grad of A to false";
        return pair.Scale == 0 ? "has the scale 0, by which LoRA-FA divides: set another" : PairShape.Obstacle(pair);
    }

    /// <inheritdoc/>
    protected internal override void Apply(LoraAdapter pair, Tensor? down, Tensor? up)
    {
        ArgumentNullException.ThrowIfNull(pair);
        if (up is null) return;
        Tensor a = Wide(pair.A).flatten(1);
        Tensor inverse = a.matmul(a.t()).add(eye(a.shape[0], dtype: a.dtype, device: a.device).mul(Damping)).pinverse();
        up.copy_(Wide(up).matmul(inverse).div(pair.Scale * pair.Scale));
    }
}
