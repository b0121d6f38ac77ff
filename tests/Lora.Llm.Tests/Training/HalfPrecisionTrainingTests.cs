using Lora.Llm.Tests.Models;
using Lora.Optimization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training;

/// <summary>Adapters of float32 over a model in half precision train as they do over the same model in float32.</summary>
public sealed class HalfPrecisionTrainingTests(ITestOutputHelper output)
{
    private const int Steps = 25;

    [Theory]
    [InlineData(ScalarType.BFloat16, false, 0.02)]
    [InlineData(ScalarType.Float16, true, 0.004)]
    public void Losses_stay_near_those_of_float32(ScalarType type, bool scaled, double tolerance)
    {
        double[] exact = Losses(type, ScalarType.Float32, scaled: false), rounded = Losses(type, type, scaled);
        double worst = exact.Zip(rounded, (one, other) => Math.Abs(one - other) / one).Max();
        output.WriteLine($"From {exact[0]} to {exact[^1]}, in {type} to {rounded[^1]}: worst relative difference {worst:E1}.");
        Assert.True(exact[^1] < 0.7 * exact[0]);
        Assert.True(worst < tolerance, $"The worst relative difference is {worst}.");
        Assert.NotEqual(exact, rounded);
    }

    // The weights are those of the half precision in both: only the computation differs.
    private static double[] Losses(ScalarType stored, ScalarType computed, bool scaled)
    {
        using var scope = NewDisposeScope();
        using LlamaModel model = TinyLlama.Make();
        model.to(stored).to(computed);
        using LoraModel<LlamaModel> lora = TinyTraining.Wrap(model, randomB: false);
        model.train();
        IReadOnlyList<Parameter> parameters = lora.TrainableParameters();
        Assert.All(parameters, parameter => Assert.Equal(ScalarType.Float32, parameter.dtype));
        using var optimizer = optim.AdamW(parameters, 1e-2);
        var scaler = new LossScaler(scale: 1024);
        Tensor ids = TinyLlama.Ids(4, 9);
        double[] losses = new double[Steps];
        for (int step = 0; step < Steps; step++)
        {
            using var inner = NewDisposeScope();
            optimizer.zero_grad();
            Tensor loss = model.Loss(ids, ids);
            losses[step] = loss.ToDouble();
            (scaled ? scaler.Scaled(loss) : loss).backward();
            if (scaled) scaler.Unscale(parameters);
            nn.utils.clip_grad_norm_(parameters, 1);
            if (scaled) Assert.True(scaler.Step(optimizer));
            else optimizer.step();
        }
        return losses;
    }
}
