using static TorchSharp.torch;

namespace Lora.Llm.Blocks.Passes;

/// <summary>Gradients that can be differentiated once more: those of the plain operators, where a function has written its own.</summary>
internal static class PlainGradients
{
    /// <summary>Computes the gradients of a function by its plain operators, as part of a graph.</summary>
    /// <param name="plain">The function by plain operators, of the inputs as they were saved.</param>
    /// <param name="inputs">What it is differentiated by; those that need no gradient get null.</param>
    /// <param name="gradient">The gradient of what it returns.</param>
    /// <returns>One gradient for each input, in the current dispose scope.</returns>
    internal static List<Tensor> Of(Func<Tensor> plain, IReadOnlyList<Tensor> inputs, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        Tensor[] needed = [.. inputs.Where(input => input.requires_grad)];
        var found = new Queue<Tensor>(autograd.grad([plain()], needed, [gradient], create_graph: true, retain_graph: true));
        return [.. inputs.Select(input => input.requires_grad ? found.Dequeue().MoveToOuterDisposeScope() : null!)];
    }
}
