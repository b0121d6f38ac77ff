using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Optim;

public sealed class AdamTests
{
    private const int Steps = 25;
    private const double Rate = 0.05, Beta1 = 0.8, Beta2 = 0.97, Epsilon = 1e-6;

    /// <summary>A gradient that changes with step and element, in both signs.</summary>
    private static double Gradient(int step, int element) => Math.Sin((step * 0.9) + (element * 1.7)) * (1 + element);

    private static double[] ByHand(double[] start, double decay, bool decoupled, bool amsgrad, bool maximize)
    {
        double[] p = [.. start], m = new double[p.Length], v = new double[p.Length], most = new double[p.Length];
        for (int t = 1; t <= Steps; t++)
        {
            for (int i = 0; i < p.Length; i++)
            {
                double g = maximize ? -Gradient(t, i) : Gradient(t, i);
                if (decoupled) p[i] *= 1 - (Rate * decay);
                else g += decay * p[i];
                m[i] = (Beta1 * m[i]) + ((1 - Beta1) * g);
                v[i] = (Beta2 * v[i]) + ((1 - Beta2) * g * g);
                most[i] = Math.Max(most[i], v[i]);
                double root = Math.Sqrt(amsgrad ? most[i] : v[i]) / Math.Sqrt(1 - Math.Pow(Beta2, t));
                p[i] -= Rate / (1 - Math.Pow(Beta1, t)) * m[i] / (root + Epsilon);
            }
        }
        return p;
    }

    private static void SetGradient(Tensor parameter, int step, int first)
    {
        double[] values = [.. Enumerable.Range(first, (int)parameter.numel()).Select(i => Gradient(step, i))];
        parameter.grad = tensor(values).to(parameter.dtype).reshape(parameter.shape);
    }

    [Theory]
    [InlineData(true, 0.0, false, false)]
    [InlineData(true, 0.3, false, false)]
    [InlineData(true, 0.3, true, false)]
    [InlineData(true, 0.3, false, true)]
    [InlineData(false, 0.0, false, false)]
    [InlineData(false, 0.3, true, true)]
    public void StepsAgreeWithAComputationInDoubles(bool decoupled, double decay, bool amsgrad, bool maximize)
    {
        using DisposeScope scope = NewDisposeScope();
        double[] start = [0.5, -1, 2, 0.1, -0.3, 4];
        double[] expected = ByHand(start, decay, decoupled, amsgrad, maximize);
        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.Float64 })
        {
            // Two tensors, so that a batch holds more than one.
            Parameter a = new(tensor(start[..4]).to(type).reshape(2, 2)), b = new(tensor(start[4..]).to(type));
            using optim.Optimizer optimizer = decoupled
                ? optim.AdamW([a, b], Rate, Beta1, Beta2, Epsilon, decay, amsgrad, maximize)
                : optim.Adam([a, b], Rate, Beta1, Beta2, Epsilon, decay, amsgrad, maximize);
            for (int t = 1; t <= Steps; t++)
            {
                SetGradient(a, t, 0);
                SetGradient(b, t, 4);
                optimizer.step();
            }
            double[] got = cat([a.detach().flatten(), b.detach()]).to(ScalarType.Float64).data<double>().ToArray();
            double tolerance = type == ScalarType.Float32 ? 2e-5 : 1e-12;
            for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], got[i], tolerance);
        }
    }

    [Fact]
    public void ParametersOfSeveralTypesAndAgesGoTogether()
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter late = new(zeros(3)), single = new(zeros(3)), half = new(zeros(3, ScalarType.BFloat16)), twice = new(zeros(3, ScalarType.Float64));
        using AdamW optimizer = optim.AdamW([late, single, half, twice], lr: 0.5);
        for (int step = 0; step < 2; step++)
        {
            foreach (Parameter parameter in new[] { single, half, twice }) parameter.grad = ones_like(parameter);
            if (step == 1) late.grad = ones_like(late);
            optimizer.step();
        }
        Assert.Equal(-0.5f, late.detach().data<float>()[0], 1e-5f);
        Assert.Equal(-1f, single.detach().data<float>()[0], 1e-5f);
        Assert.Equal(-1.0, twice.detach().data<double>()[0], 1e-5);
        Assert.Equal(-1f, half.detach().to(ScalarType.Float32).data<float>()[0], 1e-2f);
        Assert.Equal(1, ((AdamW.State)optimizer.state_dict().State[0]).step);
    }

    [Fact]
    public void ALargeParameterStepsLikeSmallOnes()
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter large = new(zeros(70_000)), small = new(zeros(5));
        using AdamW optimizer = optim.AdamW([small, large], lr: 0.1);
        (large.grad, small.grad) = (ones(70_000), ones(5));
        optimizer.step();
        Assert.True(large.detach().allclose(full(70_000, -0.1f)));
        Assert.True(small.detach().allclose(full(5, -0.1f)));
    }

    [Fact]
    public void TheGradientIsLeftAlone()
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter p = new(ones(2));
        using Adam adam = optim.Adam([p], weight_decay: 0.5, maximize: true);
        using SGD sgd = optim.SGD([p], 0.1, momentum: 0.9, weight_decay: 0.5, nesterov: true, maximize: true);
        p.grad = ones(2);
        adam.step();
        sgd.step();
        sgd.step();
        Assert.Equal(new float[] { 1, 1 }, p.grad.data<float>().ToArray());
    }
}
