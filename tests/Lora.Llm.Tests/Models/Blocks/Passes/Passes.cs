using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Blocks.Passes;

/// <summary>Compares a pass with what operators compute one by one: outputs, gradients, and gradients of gradients.</summary>
internal static class Passes
{
    /// <summary>Numbers from a generator of their own; a leaf that needs a gradient.</summary>
    public static Tensor Leaf(ScalarType type, long seed, params long[] shape)
    {
        using var generator = new Generator((ulong)seed);
        return randn(shape, dtype: type, generator: generator).requires_grad_();
    }

    /// <summary>Outputs and gradients are the same up to a share of the largest number.</summary>
    public static void AssertSame(Func<Tensor> expected, Func<Tensor> actual, double tolerance, params Tensor[] inputs)
    {
        Tensor[] wanted = Gradients(expected, inputs), found = Gradients(actual, inputs);
        for (int i = 0; i < wanted.Length; i++) AssertClose(wanted[i], found[i], tolerance);
    }

    /// <summary>So are the gradients of a function of the gradients, which only a graph through the backward gives.</summary>
    public static void AssertSameTwice(Func<Tensor> expected, Func<Tensor> actual, double tolerance, params Tensor[] inputs)
    {
        Tensor[] wanted = Twice(expected, inputs), found = Twice(actual, inputs);
        for (int i = 0; i < wanted.Length; i++) AssertClose(wanted[i], found[i], tolerance);
    }

    /// <summary>The gradients are the slopes of the function, by central differences in float64.</summary>
    public static void AssertSlopes(Func<Tensor> function, params Tensor[] inputs)
    {
        const double step = 1e-6;
        Tensor[] gradients = Gradients(function, inputs);
        using var noGrad = no_grad();
        Tensor weights = Weights(function());
        for (int i = 0; i < inputs.Length; i++)
        {
            Tensor flat = inputs[i].detach().view(-1), gradient = gradients[i + 1].reshape(-1);
            for (long at = 0; at < flat.shape[0]; at += Math.Max(1, flat.shape[0] / 7))
            {
                double before = flat[at].ToDouble();
                double high = At(before + step), low = At(before - step);
                flat[at] = tensor(before, dtype: ScalarType.Float64);
                double slope = (high - low) / (2 * step), found = gradient[at].ToDouble();
                Assert.True(Math.Abs(slope - found) <= 1e-7 * Math.Max(1, Math.Abs(slope)), $"Input {i} at {at}: slope {slope}, gradient {found}.");

                double At(double value)
                {
                    flat[at] = tensor(value, dtype: ScalarType.Float64);
                    return function().mul(weights).sum().ToDouble();
                }
            }
        }
    }

    public static void AssertClose(Tensor expected, Tensor actual, double tolerance)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.Equal(expected.dtype, actual.dtype);
        double scale = Math.Max(1, expected.abs().max().ToDouble()), difference = expected.sub(actual).abs().max().ToDouble();
        Assert.True(difference <= tolerance * scale, $"The largest difference is {difference}, of numbers up to {scale}.");
    }

    private static Tensor[] Gradients(Func<Tensor> function, Tensor[] inputs)
    {
        Tensor output = function();
        return [output.detach(), .. autograd.grad([output.mul(Weights(output)).sum()], inputs)];
    }

    private static Tensor[] Twice(Func<Tensor> function, Tensor[] inputs)
    {
        Tensor output = function();
        IList<Tensor> first = autograd.grad([output.mul(Weights(output)).tanh().sum()], inputs, retain_graph: true, create_graph: true);
        Tensor penalty = first.Select(gradient => gradient.square().sum()).Aggregate((sum, next) => sum.add(next));
        return [.. first.Select(gradient => gradient.detach()), .. autograd.grad([penalty], inputs)];
    }

    // Another one for each element, so that no mistake cancels out.
    private static Tensor Weights(Tensor like) => arange(like.NumberOfElements, dtype: like.dtype).mul(0.37).sin().add(1.2).view(like.shape);
}
