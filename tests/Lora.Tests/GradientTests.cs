using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>Only the adapters train, and by the right gradients.</summary>
public sealed class GradientTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<Holder> Holders => [.. Enum.GetValues<Holder>()];

    public static MatrixTheoryData<Holder, double> HoldersAndDropouts => new(Enum.GetValues<Holder>(), [0, 0.1]);

    public static IEnumerable<TheoryDataRow<Holder, LayerKind, Variant>> HoldersAndKinds =>
        from holder in new[] { Holder.Field, Holder.Shared, Holder.TypedField, Holder.NoField }
        from kind in Enum.GetValues<LayerKind>()
        from variant in new[] { Variant.Plain, Variant.LoraBias, Variant.Kasa }
        where kind.IsLinear() || holder is Holder.Field or Holder.NoField
        where variant != Variant.Kasa || kind.IsLinear()
        where variant != Variant.LoraBias || (holder == Holder.Field && !kind.IsEmbedding() && !kind.IsFused())
        select new TheoryDataRow<Holder, LayerKind, Variant>(holder, kind, variant);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Holders))]
    public void Only_the_adapters_receive_gradients(Holder holder)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        model.call(TestModels.Input(3)).square().sum().backward();

        Parameter[] trained = [.. lora.TrainableParameters()];
        Assert.Equal(lora.Layers.SelectMany(layer => new[] { layer.Layer.Adapter.A, layer.Layer.Adapter.B }), trained);
        Assert.All(trained, parameter => Assert.True(parameter.grad!.abs().sum().item<float>() > 0));
        HashSet<nint> handles = [.. trained.Select(parameter => parameter.Handle)];
        Assert.All(model.parameters().Where(p => !handles.Contains(p.Handle)), parameter =>
        {
            Assert.False(parameter.requires_grad);
            Assert.Null(parameter.grad);
        });
    }

    [Theory]
    [MemberData(nameof(HoldersAndKinds))]
    public void Gradients_are_those_of_finite_differences(Holder holder, LayerKind kind, Variant variant)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, ScalarType.Float64);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, kind.Config(model, variant), kind.Options(model));
        Tensor input = kind.Input(3, ScalarType.Float64);
        model.call(input).square().sum().backward();

        const double step = 1e-5;
        foreach (Parameter parameter in lora.TrainableParameters())
        {
            using var noGrad = no_grad();
            Tensor flat = parameter.view(-1), gradient = parameter.grad!.reshape(-1);
            for (long i = 0; i < flat.numel(); i++)
            {
                if (IsPadding(kind, parameter, i))
                {
                    Assert.Equal(0, gradient[i].item<double>());
                    continue;
                }
                double value = flat[i].item<double>();
                double Loss(double at)
                {
                    flat[i] = at;
                    return model.call(input).square().sum().item<double>();
                }
                double numeric = (Loss(value + step) - Loss(value - step)) / (2 * step);
                flat[i] = value;
                Assert.Equal(numeric, gradient[i].item<double>(), 1e-7 * Math.Max(1, Math.Abs(numeric)));
            }
        }
    }

    // The column of A for the padding index, which is 2, changes the output but learns nothing.
    private static bool IsPadding(LayerKind kind, Parameter parameter, long element) =>
        kind == LayerKind.EmbeddingWithPadding && parameter.shape[1] == TestModels.In && element % TestModels.In == 2;

    [Fact]
    public void Gradients_reach_what_comes_before_an_adapted_layer()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        Tensor input = TestModels.Input().requires_grad_();
        model.call(input).sum().backward();
        Assert.True(input.grad!.abs().sum().item<float>() > 0);
    }

    [Theory]
    [MemberData(nameof(HoldersAndDropouts))]
    public void Training_leaves_the_base_bytes_alone(Holder holder, double dropout)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        IReadOnlyList<(string, string)> before = Adapted.Weights(model);
        LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Adapted.Config with { Dropout = dropout });
        Tensor input = TestModels.Input(3), target = ones([2, 3, TestModels.Out], device: TestDevice.Current);
        using var optimizer = optim.AdamW(lora.TrainableParameters(), lr: 0.05, weight_decay: 0.1);
        List<float> losses = [];
        for (int step = 0; step < 20; step++)
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            Tensor loss = nn.functional.mse_loss(model.call(input), target);
            loss.backward();
            optimizer.step();
            losses.Add(loss.item<float>());
        }
        // Without dropout nothing is drawn, so every run gives the same losses.
        if (dropout == 0) Assert.True(losses[^1] < 0.5 * losses[0], $"{losses[0]} came down to {losses[^1]} only.");
        lora.Unload();
        Assert.Equal(before, Adapted.Weights(model));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Flags_of_the_users_parameters_come_back(bool dispose)
    {
        var model = (TypedFieldModel<Linear>)TestModels.Make(Holder.TypedField);
        model.First.weight!.requires_grad = false;
        model.Second.bias!.requires_grad = false;
        IReadOnlyList<(string, bool)> before = Adapted.Flags(model);
        var lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 2, alpha: 5));
        Assert.False(model.First.bias!.requires_grad);
        if (dispose) lora.Dispose();
        else lora.Unload();
        Assert.Equal(before, Adapted.Flags(model));
    }

    [Fact]
    public void What_the_user_frees_after_wrapping_trains_too_and_stays_free()
    {
        var model = (TypedFieldModel<Linear>)TestModels.Make(Holder.TypedField);
        model.Second.bias!.requires_grad = false;
        using var lora = LoraModel.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first") });
        model.Second.bias!.requires_grad = true;
        model.call(TestModels.Input()).sum().backward();
        Assert.NotNull(model.Second.bias!.grad);
        Assert.DoesNotContain(model.Second.bias, lora.TrainableParameters());
        Assert.Equal((2 * (7 + 5)) + 3, lora.ParameterCounts.Trainable);
        lora.Unload();
        Assert.True(model.Second.bias!.requires_grad);
    }

    [Fact]
    public void An_adapter_that_does_not_train_has_no_trainable_parameters_until_it_is_asked_to()
    {
        using var lora = LoraModel.Wrap(TestModels.Make(Holder.Field), Adapted.Config, new WrapOptions { IsTrainable = false });
        Assert.Empty(lora.TrainableParameters());
        Assert.Equal(0, lora.ParameterCounts.Trainable);
        lora.SetTrainable(true);
        Assert.Equal(4, lora.TrainableParameters().Count);
        lora.SetTrainable(false);
        Assert.Empty(lora.TrainableParameters());
    }

    [Fact]
    public void Dropout_acts_in_training_only_and_on_the_adapter_only()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        Tensor input = TestModels.Input();
        Tensor plain = model.call(input);
        using var lora = LoraModel.Wrap(model, Adapted.Config with { Dropout = 0.5 });
        Adapted.AssertSame(plain, model.call(input));
        Adapted.Fill(lora);
        Assert.NotEqual(0, Adapted.Difference(model.call(input), model.call(input)));
        model.eval();
        Adapted.AssertSame(model.call(input), model.call(input));
        model.train();
        Assert.NotEqual(0, Adapted.Difference(model.call(input), model.call(input)));
    }

    [Theory]
    [InlineData(Holder.Field)]
    [InlineData(Holder.TypedField)]
    [InlineData(Holder.Sequential)]
    public void Adapters_follow_train_and_eval(Holder holder)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        model.eval();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        Assert.All(Modules(lora), module => Assert.False(module.training));
        model.train();
        Assert.All(Modules(lora), module => Assert.True(module.training));
        model.eval();
        Assert.All(Modules(lora), module => Assert.False(module.training));
    }

    private static IEnumerable<nn.Module> Modules(LoraModel<nn.Module<Tensor, Tensor>> lora) =>
        lora.Layers.SelectMany(layer => new nn.Module[] { (nn.Module)layer.Layer, layer.Layer.Adapter, layer.Layer.BaseLayer });
}
