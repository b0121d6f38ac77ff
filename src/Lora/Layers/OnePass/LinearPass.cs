using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Layers.OnePass;

/// <summary>
/// One pass through a frozen linear layer and one adapter: y = W·x + b + B·(s·A·x̂), where x̂ is x, or x with some elements dropped. The narrow s·A·x̂ is kept for
/// the way back, the wide products are added where their sum already lies, and nothing as large as x or y is made beside x, y and their gradients.
/// </summary>
/// <param name="layer">The linear layer; its weight and bias do not train.</param>
/// <param name="isTransposed">Whether its weight is stored as <c>[in, out]</c>.</param>
/// <param name="scale">The scale s.</param>
internal sealed class LinearPass(nn.Module<Tensor, Tensor> layer, bool isTransposed, double scale)
{
    private bool _needsInput, _needsDropped, _needsA, _needsB;

    /// <summary>Computes y without a gradient.</summary>
    /// <param name="input">x, shape <c>[…, in]</c>.</param>
    /// <param name="dropped">x̂, shape <c>[…, in]</c>; the same tensor where nothing is dropped.</param>
    /// <param name="a">A, shape <c>[r, in]</c>.</param>
    /// <param name="b">B, shape <c>[out, r]</c>.</param>
    /// <returns>y, shape <c>[…, out]</c>, which belongs to the current dispose scope.</returns>
    public Tensor Compute(Tensor input, Tensor dropped, Tensor a, Tensor b) => Compute(input, dropped, a, b, out _);

    /// <summary>Computes y and what the way back needs.</summary>
    public (Tensor Output, List<Tensor> Saved) Forward(Tensor input, Tensor? dropped, Tensor weight, Tensor a, Tensor b)
    {
        (_needsInput, _needsDropped, _needsA, _needsB) = (input.requires_grad, dropped?.requires_grad ?? false, a.requires_grad, b.requires_grad);
        Tensor output = Compute(input, dropped ?? input, a, b, out Tensor narrow);
        // The wide input is there for the gradient of A alone.
        return (output, [weight, a, b, narrow, .. _needsA ? [dropped ?? input] : Array.Empty<Tensor>()]);
    }

    /// <summary>The gradients of x, x̂, A and B; null for those that nobody needs.</summary>
    public (Tensor? Input, Tensor? Dropped, Tensor? A, Tensor? B) Backward(IReadOnlyList<Tensor> saved, bool hasDropped, Tensor gradient)
    {
        (Tensor weight, Tensor a, Tensor b, Tensor narrow) = (saved[0], saved[1], saved[2], saved[3]);
        Tensor rows = gradient.reshape(-1, gradient.shape[^1]);
        // Where somebody differentiates the gradient itself, the narrow product has to be one that depends on A and x.
        bool again = is_grad_enabled();
        if (again && _needsA) narrow = Rows(saved[4]).matmul(a.t()).mul(scale);

        using Scalar factor = scale;
        Tensor narrowGradient = again ? rows.mm(b).mul(factor) : rows.mm(b).mul_(factor);
        Tensor? ofB = _needsB ? rows.t().mm(narrow) : null;
        Tensor? ofA = _needsA ? narrowGradient.t().mm(Rows(saved[4])) : null;
        Tensor? ofInput = _needsInput ? rows.mm(isTransposed ? weight.t() : weight) : null;
        Tensor? ofDropped = null;
        if (hasDropped) ofDropped = _needsDropped ? narrowGradient.mm(a) : null;
        else if (ofInput is not null) ofInput = again ? ofInput.addmm(narrowGradient, a) : ofInput.addmm_(narrowGradient, a);
        return (Shaped(ofInput), Shaped(ofDropped), ofA, ofB);

        Tensor? Shaped(Tensor? wide) => wide?.view([.. gradient.shape[..^1], wide.shape[1]]);
    }

    private Tensor Compute(Tensor input, Tensor dropped, Tensor a, Tensor b, out Tensor narrow)
    {
        using Scalar factor = scale;
        Tensor output = layer.call(input);
        narrow = Rows(dropped).mm(a.t()).mul_(factor);
        output.view(-1, output.shape[^1]).addmm_(narrow, b.t());
        return output;
    }

    /// <summary>A tensor of shape <c>[…, n]</c> as a matrix of n columns.</summary>
    internal static Tensor Rows(Tensor wide) => wide.reshape(-1, wide.shape[^1]);
}
