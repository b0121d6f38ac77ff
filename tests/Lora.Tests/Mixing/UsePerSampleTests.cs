using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Mixing;

/// <summary>Each row of a batch gets what its adapter alone would give it.</summary>
public sealed class UsePerSampleTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static IReadOnlyList<string> Patterns { get; } = ["d", "-", "dddd", "--w-", "dw-l", "ddwwll--", "dwldwldwl", "d-d-d-d", "lwdd-wlddw-l", "-d--w---l", "wwwwwwwwdd"];

    public static MatrixTheoryData<Holder, string, int> Cases => new([Holder.Field, Holder.TypedField, Holder.Sequential, Holder.Shared], Patterns, [0, 1, 2, 40]);

    public static MatrixTheoryData<LayerKind, string> KindsAndPatterns => new(Enum.GetValues<LayerKind>().Where(kind => kind.IsLinear()), ["dw-l", "lwdd-wlddw-l"]);

    public static TheoryData<LayerKind> OtherKinds => [.. Enum.GetValues<LayerKind>().Where(kind => !kind.IsLinear())];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Rows_are_those_of_single_runs(Holder holder, string pattern, int tokens)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(TestModels.Make(holder));
        (string[] names, Tensor input) = Batch(pattern, tokens);
        Tensor expected = ThreeAdapters.RowByRow(lora, names, input), active = lora.Model.call(input);
        foreach (bool training in new[] { true, false })
        {
            lora.Model.train(training);
            using (lora.UsePerSample(names))
            {
                Adapted.AssertClose(expected, lora.Model.call(input));
                using (no_grad()) Adapted.AssertClose(expected, lora.Model.call(input));
                using (no_grad()) Adapted.AssertClose(expected, lora.Model.call(input.transpose(0, -1).contiguous().transpose(0, -1)));
            }
        }
        Adapted.AssertSame(active, lora.Model.call(input));
    }

    // The fast way of the first knows neither a bias nor a start.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_adapter_with_more_than_a_pair_may_come_second(bool bias)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        lora.AddAdapter("more", bias ? Adapted.Config with { UseLoraBias = true } : Adapted.Config with { Initialization = AdapterInitialization.Pissa });
        lora.SetActive("more");
        Adapted.Fill(lora, 90);
        Tensor input = TestModels.Input();
        string[] names = ["default", "more", "default", "more"];
        Tensor expected = ThreeAdapters.RowByRow(lora, names, input);
        using IDisposable scope = lora.UsePerSample(names);
        using var noGrad = no_grad();
        Adapted.AssertClose(expected, lora.Model.call(input));
    }

    [Theory]
    [MemberData(nameof(KindsAndPatterns))]
    public void Rows_are_those_of_single_runs_in_bfloat16(LayerKind kind, string pattern)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(TestModels.Make(Holder.Field, kind, ScalarType.BFloat16));
        (string[] names, Tensor input) = Batch(pattern, 3, ScalarType.BFloat16);
        Tensor expected = ThreeAdapters.RowByRow(lora, names, input);
        using (lora.UsePerSample(names))
        {
            Adapted.AssertClose(expected, lora.Model.call(input));
            using (no_grad()) Adapted.AssertClose(expected, lora.Model.call(input));
            lora.Model.to(ScalarType.BFloat16); // The adapters too.
            using (no_grad()) Adapted.AssertClose(expected, lora.Model.call(input));
        }
    }

    [Theory]
    [MemberData(nameof(KindsAndPatterns))]
    public void Gradients_are_those_of_finite_differences(LayerKind kind, string pattern)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(TestModels.Make(Holder.Field, kind, ScalarType.Float64));
        (string[] names, Tensor input) = Batch(pattern, 2, ScalarType.Float64);
        input.requires_grad_();
        using IDisposable scope = lora.UsePerSample(names);
        lora.Model.call(input).square().sum().backward();
        const double step = 1e-5;
        foreach (Tensor parameter in lora.TrainableParameters().Append(input))
        {
            using var noGrad = no_grad();
            Tensor flat = parameter.view(-1), gradient = parameter.grad!.view(-1);
            for (long i = 0; i < flat.numel(); i++)
            {
                double value = flat[i].item<double>();
                double Loss(double at)
                {
                    flat[i] = at;
                    return lora.Model.call(input).square().sum().item<double>();
                }
                double numeric = (Loss(value + step) - Loss(value - step)) / (2 * step);
                flat[i] = value;
                Assert.Equal(numeric, gradient[i].item<double>(), 1e-7 * Math.Max(1, Math.Abs(numeric)));
            }
        }
    }

    [Theory]
    [MemberData(nameof(OtherKinds))]
    public void Other_layers_mix_too(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind);
        LoraConfig config = kind.Config(model);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config, kind.Options(model));
        lora.AddAdapter("other", config with { Alpha = 3 * config.Alpha });
        ThreeAdapters.Fill(lora);
        Tensor two = kind.Input(3, ScalarType.Float32), input = cat([two, two.narrow(0, 0, 1)], 0);
        string[] names = [.. Enumerable.Range(0, (int)input.shape[0]).Select(row => new[] { "other", LoraModel.BaseAdapter, "default" }[row % 3])];
        Tensor expected = ThreeAdapters.RowByRow(lora, names, input);
        using (lora.UsePerSample(names))
        {
            Adapted.AssertRelativelyClose(expected, lora.Model.call(input));
            using (no_grad()) Adapted.AssertRelativelyClose(expected, lora.Model.call(input));
        }
    }

    [Fact]
    public void Adapters_of_no_row_get_no_gradient_and_base_rows_move_none()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(TestModels.Make(Holder.Field));
        (string[] names, Tensor input) = Batch("w--w", 2);
        using (lora.UsePerSample(names)) lora.Model.call(input).square().sum().backward();
        foreach (LoraAdapter adapter in lora.Layers.SelectMany(layer => layer.Layer.Adapters))
            Assert.Equal(adapter.AdapterName == "wide", adapter.A.grad is not null && adapter.B.grad is not null);
        Dictionary<string, Tensor> gradients = lora.Layers.ToDictionary(layer => layer.Path, layer => layer.Layer.Adapters["wide"].B.grad!.clone());
        lora.Model.zero_grad();
        Tensor alone = input.index_select(0, tensor(new long[] { 0, 3 }, device: input.device));
        using (lora.Use("wide")) lora.Model.call(alone).square().sum().backward();
        Assert.All(lora.Layers, layer => Assert.True(Adapted.Difference(layer.Layer.Adapters["wide"].B.grad!, gradients[layer.Path]) < 1e-4));
    }

    [Fact]
    public void Dropout_is_each_adapters_own()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(TestModels.Make(Holder.Field), dropout: 1);
        (string[] names, Tensor input) = Batch("dw-l", 3);
        Tensor plain = ThreeAdapters.Alone(lora, LoraModel.BaseAdapter, input);
        using (lora.UsePerSample(names))
        {
            Adapted.AssertSame(plain, lora.Model.call(input)); // With everything dropped, nothing is added.
            using (no_grad()) Adapted.AssertSame(plain, lora.Model.call(input));
        }
        lora.Model.eval();
        Tensor expected = ThreeAdapters.RowByRow(lora, names, input);
        using (lora.UsePerSample(names)) Adapted.AssertClose(expected, lora.Model.call(input));
    }

    [Fact]
    public void Outputs_that_hooks_have_seen_are_not_written_over()
    {
        var layer = (Linear)LayerKind.Linear.Make(TestModels.In, 5);
        Tensor? seen = null;
        layer.register_forward_hook((_, _, output) =>
        {
            seen = output;
            return output;
        });
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap<nn.Module<Tensor, Tensor>>(new FieldModel(layer, LayerKind.Linear.Make(5, 3)));
        (string[] names, Tensor input) = Batch("dw-l", 0);
        using var noGrad = no_grad();
        Tensor before = layer.call(input).clone();
        using (lora.UsePerSample(names)) lora.Model.call(input);
        Adapted.AssertSame(before, seen!);
    }

    private static (string[] Names, Tensor Input) Batch(string pattern, int tokens, ScalarType type = ScalarType.Float32)
    {
        long[] shape = tokens == 0 ? [pattern.Length, TestModels.In] : [pattern.Length, tokens, TestModels.In];
        return (ThreeAdapters.Names(pattern), Noise.Fill(empty(shape, type, TestDevice.Current), seed: 41, range: 1.7));
    }
}
