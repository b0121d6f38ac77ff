using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Injection;

/// <summary>A layer whose adapter would silently never train is found out.</summary>
public sealed class NeverReachedTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void A_layer_run_by_forward_is_found_after_the_first_training_pass()
    {
        TypedFieldModel<Linear> model = Skipping();
        using LoraModel<TypedFieldModel<Linear>> lora = Adapted.Wrap(model);
        Assert.Equal(
            "1 of 2 adapted layers were not reached by the forward pass, so their adapters would never train:\n"
            + "  - _second  Linear 5→3  r=2 α=5 (hooked)\n"
            + "A hooked layer is reached by call(), not by forward(): call it so, or give its field the type Module<Tensor, Tensor>. "
            + "A swapped one is reached through the field or container that it was registered from, not through a copy kept elsewhere. "
            + "Leave layers that the model does not use out of the targets, or set WrapOptions.AllowUnreached.",
            Assert.Throws<InvalidOperationException>(() => model.call(TestModels.Input())).Message);
    }

    [Fact]
    public void It_is_not_looked_for_in_evaluation()
    {
        TypedFieldModel<Linear> model = Skipping();
        using LoraModel<TypedFieldModel<Linear>> lora = Adapted.Wrap(model);
        model.eval();
        model.call(TestModels.Input());
        model.train();
        using (no_grad()) model.call(TestModels.Input());
        using (lora.Disable()) model.call(TestModels.Input());
        Assert.Throws<InvalidOperationException>(() => model.call(TestModels.Input()));
    }

    [Fact]
    public void It_may_be_allowed()
    {
        TypedFieldModel<Linear> model = Skipping();
        using LoraModel<TypedFieldModel<Linear>> lora = Adapted.Wrap(model, options: new WrapOptions { AllowUnreached = true });
        model.call(TestModels.Input());
        Assert.Throws<InvalidOperationException>(lora.CheckReached);
    }

    [Fact]
    public void A_model_that_passed_once_is_not_asked_again()
    {
        var model = (TypedFieldModel<Linear>)TestModels.Make(Holder.TypedField);
        using LoraModel<TypedFieldModel<Linear>> lora = Adapted.Wrap(model);
        Assert.Throws<InvalidOperationException>(lora.CheckReached);
        model.call(TestModels.Input());
        lora.CheckReached();
        model.SkipsCall = true;
        model.call(TestModels.Input());
    }

    [Fact]
    public void A_copy_of_a_swapped_layer_kept_elsewhere_is_found_too()
    {
        var first = nn.Linear(TestModels.In, TestModels.Out, device: TestDevice.Current);
        using var model = new CopyKeeper(first);
        using LoraModel<CopyKeeper> lora = Adapted.Wrap(model);
        Assert.StartsWith("1 of 1 adapted layers were not reached", Assert.Throws<InvalidOperationException>(() => model.call(TestModels.Input())).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Holder.Field)]
    [InlineData(Holder.SharedAcrossParents)]
    [InlineData(Holder.NoField)]
    public void Reached_layers_are_no_error(Holder holder)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        model.call(TestModels.Input());
        lora.CheckReached();
    }

    private static TypedFieldModel<Linear> Skipping()
    {
        var model = (TypedFieldModel<Linear>)TestModels.Make(Holder.TypedField);
        model.SkipsCall = true;
        return model;
    }

    private sealed class CopyKeeper : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _layer;
        private readonly nn.Module<Tensor, Tensor>[] _copies;

        public CopyKeeper(nn.Module<Tensor, Tensor> layer)
            : base(nameof(CopyKeeper))
        {
            _layer = layer;
            _copies = [_layer];
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _copies[0].call(input);
    }
}
