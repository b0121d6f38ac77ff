using static TorchSharp.torch;

namespace Lora.Layers.OnePass;

/// <summary>What the backward pass of a function of one's own hands over: tensors that outlive the scope in which it worked.</summary>
internal static class BackwardResult
{
    /// <summary>Moves a gradient out of the current dispose scope.</summary>
    /// <param name="gradient">The gradient; null where none is needed, which is what autograd takes for that.</param>
    internal static Tensor Of(Tensor? gradient) => gradient?.MoveToOuterDisposeScope()!;
}
