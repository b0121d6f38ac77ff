using Lora.Layers;
using Lora.Tests.Models;
using Lora.Variants;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>What a layer with DoRA computes, and by which gradients it trains, is what the formula says.</summary>
public sealed class DoraTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static IEnumerable<TheoryDataRow<Holder, LayerKind>> Kinds =>
        from kind in Enum.GetValues<LayerKind>()
        where kind.HasDora()
        from holder in new[] { Holder.Field, Holder.NoField }
        select new TheoryDataRow<Holder, LayerKind>(holder, kind);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_output_is_that_of_rows_with_the_magnitude_as_their_norm(Holder holder, LayerKind kind)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(holder, kind);
        var naive = new NaiveDora(TestModels.Make(holder, kind, ScalarType.Float64), lora);
        foreach (int dimensions in new[] { 2, 3 })
        {
            Tensor input = kind.Input(dimensions, ScalarType.Float64);
            AssertClose(naive.Output(input), lora.Model.call(input));
        }
    }

    // The norms are constants: the function whose differences are taken keeps those of the beginning.
    [Theory]
    [MemberData(nameof(Kinds))]
    public void Gradients_are_those_of_finite_differences_with_constant_norms(Holder holder, LayerKind kind)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(holder, kind);
        var naive = new NaiveDora(TestModels.Make(holder, kind, ScalarType.Float64), lora);
        Tensor input = kind.Input(3, ScalarType.Float64);
        lora.Model.call(input).square().sum().backward();

        const double step = 1e-5;
        Assert.Equal(3 * lora.Layers.Count, lora.TrainableParameters().Count);
        foreach (Parameter parameter in lora.TrainableParameters())
        {
            using var noGrad = no_grad();
            Tensor flat = parameter.view(-1), gradient = parameter.grad!.reshape(-1);
            for (long i = 0; i < flat.numel(); i += 1 + (flat.numel() / 20))
            {
                // The column of A for the padding index, which is 2, changes the output but learns nothing.
                if (kind == LayerKind.EmbeddingWithPadding && parameter.dim() == 2 && parameter.shape[1] == TestModels.In && i % TestModels.In == 2) continue;
                double value = flat[i].item<double>();
                double Loss(double at)
                {
                    flat[i] = at;
                    return naive.Output(input).square().sum().item<double>();
                }
                double numeric = (Loss(value + step) - Loss(value - step)) / (2 * step);
                flat[i] = value;
                Assert.Equal(numeric, gradient[i].item<double>(), 1e-7 * Math.Max(1, Math.Abs(numeric)));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_fresh_magnitude_is_the_norm_in_the_shape_of_PEFTs_file(Holder holder, LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, ScalarType.Float64);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, kind.Config(model, Variant.Dora), kind.Options(model));
        var naive = new NaiveDora(TestModels.Make(holder, kind, ScalarType.Float64), lora);
        foreach (AdapterLayer layer in lora.Layers)
        {
            Parameter magnitude = ((DoraVariant)layer.Layer.Adapter.Variant!).Magnitude;
            long outputs = naive.Norms[layer.Path].numel();
            Assert.Equal(layer.Layer is LoraConv ? [1, outputs, .. Enumerable.Repeat(1L, (int)layer.Layer.Adapter.A.dim() - 2)] : [outputs], magnitude.shape);
            AssertClose(naive.Norms[layer.Path], magnitude.flatten());
            Assert.Contains(lora.AdapterTensors("default"), tensor => tensor.Key == $"base_model.model.{layer.Path}.lora_magnitude_vector" && tensor.Value.Handle == magnitude.Handle);
        }
    }

    // What was dropped is found by solving for it, as the weights are square: each element of x̂ is zero or x / (1 - p).
    [Fact]
    public void Dropout_in_training_drops_the_input_of_the_base_product_too()
    {
        const double p = 0.4;
        Linear linear = (Linear)LayerKind.Linear.Make(6, 6, ScalarType.Float64);
        using var layer = new LoraLinear(linear, rank: 3, alpha: 2, dropout: p, useDora: true);
        Fill(layer.Adapter);
        using var noGrad = no_grad();
        Tensor weight = linear.weight!, sum = weight + layer.Adapter.ComputeDelta();
        Tensor c = ((DoraVariant)layer.Adapter.Variant!).Magnitude / linalg.vector_norm(sum, 2, [1]);
        Tensor changing = (c.unsqueeze(1) * sum) - weight;
        Tensor x = Noise.Fill(empty([5, 6], ScalarType.Float64, TestDevice.Current), 3, 1.5);
        Tensor dropped = (layer.call(x) - linear.call(x)).matmul(linalg.inv(changing).t());
        Tensor kept = dropped.abs().gt(1e-9);
        Assert.True(dropped.allclose(where(kept, x / (1 - p), zeros_like(x)), 1e-8, 1e-9));
        Assert.InRange(kept.sum().item<long>(), 1, 29);

        layer.eval();
        AssertClose(nn.functional.linear(x, weight + changing, linear.bias), layer.call(x));
    }

    [Fact]
    public void A_convolution_with_everything_dropped_is_the_base_layer()
    {
        foreach (LayerKind kind in Enum.GetValues<LayerKind>().Where(kind => kind.HasDora() && kind.ToString().StartsWith("Conv", StringComparison.Ordinal)))
        {
            nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind, ScalarType.Float64);
            Tensor input = kind.Input(3, ScalarType.Float64), plain = model.call(input);
            using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, kind.Config(model, Variant.Dora) with { Dropout = 1 });
            AssertClose(plain, model.call(input));
            model.eval();
            Assert.True(Adapted.Difference(plain, model.call(input)) > 0.05);
        }
    }

    // The bias is not rescaled, whatever the magnitude, and neither is its gradient.
    [Fact]
    public void A_bias_that_trains_has_its_own_gradient()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field, type: ScalarType.Float64), Adapted.Config with { UseDora = true, Bias = BiasKind.All });
        lora.Model.call(TestModels.Input(3, ScalarType.Float64)).sum().backward();
        Parameter bias = lora.AdapterTensors("default").Single(tensor => tensor.Key == "base_model.model._second.base_layer.bias").Value;
        AssertClose(full_like(bias, 6), bias.grad!);
    }

    [Fact]
    public void Scales_and_patterns_count_in_the_norm()
    {
        LoraConfig config = Adapted.Config with
        {
            UseDora = true,
            UseRankStabilizedScaling = true,
            RankPattern = new Dictionary<string, int> { ["_first"] = 3 },
            AlphaPattern = new Dictionary<string, double> { ["_second"] = 9 },
        };
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field, type: ScalarType.Float64), config);
        Tensor input = TestModels.Input(3, ScalarType.Float64);
        AssertClose(new NaiveDora(TestModels.Make(Holder.Field, type: ScalarType.Float64), lora).Output(input), lora.Model.call(input));
        lora.SetScale("default", -0.3);
        AssertClose(new NaiveDora(TestModels.Make(Holder.Field, type: ScalarType.Float64), lora).Output(input), lora.Model.call(input));
    }

    [Fact]
    public void What_changes_in_place_counts_in_the_next_pass()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(Holder.Field, LayerKind.Linear);
        using var noGrad = no_grad();
        foreach (bool training in new[] { true, false })
        {
            lora.Model.train(training);
            lora.Model.call(TestModels.Input(3, ScalarType.Float64));
            foreach (ILoraLayer layer in lora.Layers.Select(layer => layer.Layer))
            {
                layer.BaseLayer.get_parameter("weight")!.mul_(1.5).add_(0.1);
                foreach ((_, Parameter parameter) in layer.Adapter.FileTensors) parameter.mul_(0.7).sub_(0.2);
            }
            nn.Module<Tensor, Tensor> plain = TestModels.Make(Holder.Field, type: ScalarType.Float64);
            foreach (((_, Parameter target), ILoraLayer layer) in plain.named_parameters().Where(p => p.name.EndsWith("weight", StringComparison.Ordinal)).Zip(lora.Layers.Select(layer => layer.Layer)))
                target.copy_(layer.BaseLayer.get_parameter("weight")!);
            Tensor input = TestModels.Input(3, ScalarType.Float64);
            AssertClose(new NaiveDora(plain, lora).Output(input), lora.Model.call(input));
        }
    }

    [Fact]
    public void A_row_of_zeros_stays_the_bias_and_gives_no_NaN()
    {
        Linear linear = (Linear)LayerKind.Linear.Make(4, 3);
        using (no_grad()) linear.weight![1] = zeros(4, device: TestDevice.Current);
        Tensor input = Noise.Fill(empty([2, 4], device: TestDevice.Current), 5, 1), plain = linear.call(input);
        using var layer = new LoraLinear(linear, rank: 2, alpha: 3, useDora: true);
        Tensor output = layer.call(input);
        Adapted.AssertSame(plain, output);
        output.square().sum().backward();
        Assert.All(layer.Adapter.FileTensors, tensor => Assert.True(tensor.Value.grad!.isfinite().all().item<bool>()));
        layer.Adapters.Merge(keepOriginal: true);
        Adapted.AssertClose(plain, layer.call(input));
    }

    private static LoraModel<nn.Module<Tensor, Tensor>> Wrap(Holder holder, LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, ScalarType.Float64);
        return Adapted.Wrap(model, kind.Config(model, Variant.Dora), kind.Options(model));
    }

    private static void Fill(LoraAdapter adapter)
    {
        int seed = 60;
        foreach ((_, Parameter parameter) in adapter.FileTensors) Noise.Fill(parameter, seed++, 0.8);
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        double difference = Adapted.Difference(expected, actual);
        Assert.True(difference < 1e-12, $"The largest difference is {difference:G4}.");
    }
}
