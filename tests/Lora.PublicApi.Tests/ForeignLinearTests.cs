using Lora.Layers;
using Lora.Tests;
using Lora.Variants;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests;

/// <summary>
/// A model as Microsoft.ML.GenAI's: its linear class cannot be named outside, its parents have fields of that class, and they call <c>forward</c> past all hooks.
/// </summary>
public sealed class ForeignLinearTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Training_is_refused_with_the_remedy()
    {
        using nn.Module<Tensor, Tensor> model = ForeignModels.Make(callsForward: true);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Config, new WrapOptions { LayerKinds = [new ForeignLinearKind()] });
        Assert.Equal(
            "1 of 1 adapted layers were not reached by the forward pass, so their adapters would never train:\n"
            + "  - project  ForeignLinear 6→5  r=2 α=5 (hooked)\n"
            + "A hooked layer is reached by call(), not by forward(): call it so, or give its field the type Module<Tensor, Tensor>. "
            + "A swapped one is reached through the field or container that it was registered from, not through a copy kept elsewhere. "
            + "Leave layers that the model does not use out of the targets, or set WrapOptions.AllowUnreached.",
            Assert.Throws<InvalidOperationException>(() => model.call(Input)).Message);
        var exception = Assert.Throws<ArgumentException>(() => LoraModel.Wrap(
            ForeignModels.Make(callsForward: true), Config, new WrapOptions { AllowHooks = false, LayerKinds = [new ForeignLinearKind()] }));
        Assert.Contains(
            "'project' cannot be replaced, since field 'project' of ForeignModel has the type ForeignLinear, and AllowHooks is false: give the field the type Module<Tensor, Tensor>, or allow hooks",
            exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_saved_adapter_works_merged()
    {
        using var noGrad = no_grad();
        using nn.Module<Tensor, Tensor> model = ForeignModels.Make(callsForward: true);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Filled(model);
        Tensor plain = model.call(Input);
        LoraAdapter adapter = lora.Layers[0].Layer.Adapter;
        Tensor expected = plain.add(nn.functional.linear(nn.functional.linear(Input, adapter.A), adapter.B).mul(2.5));
        lora.Merge();
        Assert.True(expected.allclose(model.call(Input), rtol: 1e-12));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_parent_that_uses_call_is_adapted_in_place(bool useDora)
    {
        using nn.Module<Tensor, Tensor> model = ForeignModels.Make(callsForward: false);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Filled(model, useDora);
        Assert.Equal(useDora, lora.Layers[0].Layer.Adapter.Variant is DoraVariant);
        Tensor output = model.call(Input);
        output.square().sum().backward();
        Assert.All(lora.TrainableParameters(), parameter => Assert.True(parameter.grad!.abs().max().item<double>() > 0));
        lora.Merge();
        Assert.True(output.allclose(model.call(Input), rtol: 1e-10));
    }

    private static LoraConfig Config => new() { Rank = 2, Alpha = 5, TargetModules = ModuleSelector.EndsWith("project") };

    private static Tensor Input => ones([3, 6], ScalarType.Float64, TestDevice.Current);

    private static LoraModel<nn.Module<Tensor, Tensor>> Filled(nn.Module<Tensor, Tensor> model, bool useDora = false)
    {
        LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Config with { UseDora = useDora }, new WrapOptions { LayerKinds = [new ForeignLinearKind()] });
        using var noGrad = no_grad();
        foreach (Parameter parameter in lora.TrainableParameters()) nn.init.normal_(parameter);
        return lora;
    }

    /// <summary>Knows the class by its name, and its parameters by theirs.</summary>
    private sealed class ForeignLinearKind : LoraLayerKind
    {
        public override string ModuleName => "ForeignLinear";

        public override Type LayerType => typeof(LoraLinear);

        public override bool IsLinear => true;

        public override bool Supports(nn.Module module) => module.GetType().Name == ModuleName;

        public override ILoraLayer Create(nn.Module module, bool ownsBase) => new LoraLinear(
            (nn.Module<Tensor, Tensor>)module, new LinearView(() => module.get_parameter("weight"), () => module.has_parameter("bias") ? module.get_parameter("bias") : null), ownsBase);
    }

    /// <summary>Stands for another library.</summary>
    private static class ForeignModels
    {
        public static nn.Module<Tensor, Tensor> Make(bool callsForward) => new ForeignModel(callsForward);

        private sealed class ForeignModel : nn.Module<Tensor, Tensor>
        {
            private readonly ForeignLinear project = new(6, 5);
            private readonly bool _callsForward;

            public ForeignModel(bool callsForward)
                : base(nameof(ForeignModel))
            {
                _callsForward = callsForward;
                RegisterComponents();
            }

            public override Tensor forward(Tensor input) => _callsForward ? project.forward(input) : project.call(input);
        }

        private sealed class ForeignLinear : nn.Module<Tensor, Tensor>
        {
            private readonly Parameter weight;

            public ForeignLinear(long inFeatures, long outFeatures)
                : base(nameof(ForeignLinear))
            {
                weight = Owned.Parameter(randn([outFeatures, inFeatures], ScalarType.Float64, TestDevice.Current));
                RegisterComponents();
            }

            public override Tensor forward(Tensor input) => nn.functional.linear(input, weight);
        }
    }
}
