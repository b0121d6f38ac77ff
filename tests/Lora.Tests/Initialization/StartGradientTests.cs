using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Initialization;

/// <summary>A start that is taken off what an adapter adds is a constant to the gradients.</summary>
public sealed class StartGradientTests
{
    public static IEnumerable<TheoryDataRow<Start, bool, bool>> Cases =>
        from start in Enum.GetValues<Start>()
        from transposed in (bool[])[false, true]
        from written in (bool[])[false, true]
        where !written || start.ChangesBase()
        select new TheoryDataRow<Start, bool, bool>(start, transposed, written);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gradients_are_those_of_finite_differences(Start start, bool transposed, bool written)
    {
        using var scope = NewDisposeScope();
        nn.Module<Tensor, Tensor> model = Starts.Model(transposed, type: ScalarType.Float64);
        LoraConfig config = Starts.With(start, model);
        if (written) config = config with { Initialization = config.Initialization with { WritesBase = true } };
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config);
        Tensor input = Starts.Input(type: ScalarType.Float64);
        int seed = 70;
        using (no_grad())
            foreach (Parameter parameter in lora.TrainableParameters()) parameter.add_(Noise.Fill(empty_like(parameter), seed++, 0.3));
        model.call(input).square().sum().backward();

        const double step = 1e-5;
        foreach (Parameter parameter in lora.TrainableParameters())
        {
            using var noGrad = no_grad();
            Tensor flat = parameter.view(-1), gradient = parameter.grad!.reshape(-1);
            for (long i = 0; i < flat.numel(); i += 3)
            {
                double value = flat[i].item<double>();
                double Loss(double at)
                {
                    flat[i] = at;
                    return model.call(input).square().sum().item<double>();
                }
                double slope = (Loss(value + step) - Loss(value - step)) / (2 * step);
                flat[i] = value;
                Assert.InRange(gradient[i].item<double>() - slope, -1e-6 * (1 + Math.Abs(slope)), 1e-6 * (1 + Math.Abs(slope)));
            }
        }
        Assert.All(model.named_parameters().Where(p => !p.parameter.requires_grad), p => Assert.Null(p.parameter.grad));
    }
}
