using Lora.Layers;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests;

/// <summary>Module types that the library does not know are adapted through its public surface alone.</summary>
public sealed class OwnLayerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Kinds => ["linear", "quadratic"];

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_operation_works(string kind)
    {
        using var model = new Pair(Make(kind, 6, 5), Make(kind, 5, 4));
        WrapOptions options = Options;
        Tensor input = rand([3, 6], ScalarType.Float64, TestDevice.Current), plain = model.call(input);
        var config = new LoraConfig { Rank = 2, Alpha = 5, TargetModules = ModuleSelector.EndsWith("_first", "_second") };
        using LoraModel<Pair> lora = LoraModel.Wrap(model, config, options);
        Assert.True(plain.allclose(model.call(input), rtol: 0, atol: 0));
        lora.AddAdapter("other", config with { Rank = 3 });
        foreach (Parameter parameter in lora.TrainableParameters())
            using (no_grad()) nn.init.normal_(parameter);
        lora.SetActive("default", "other");
        Tensor adapted = model.call(input);
        Assert.True((adapted - plain).abs().max().item<double>() > 0.01);

        // Gradients are those of the finite difference along a direction.
        adapted.square().sum().backward();
        IReadOnlyList<Parameter> parameters = lora.TrainableParameters();
        Tensor[] directions = [.. parameters.Select(parameter => randn_like(parameter))];
        double slope = parameters.Zip(directions).Sum(pair => pair.First.grad!.mul(pair.Second).sum().item<double>());
        double At(double step)
        {
            using var noGrad = no_grad();
            foreach ((Parameter parameter, Tensor direction) in parameters.Zip(directions)) parameter.add_(direction.mul(step));
            double loss = model.call(input).square().sum().item<double>();
            foreach ((Parameter parameter, Tensor direction) in parameters.Zip(directions)) parameter.sub_(direction.mul(step));
            return loss;
        }
        Assert.Equal(1, (At(1e-6) - At(-1e-6)) / 2e-6 / slope, 1e-4);

        using var noGrad = no_grad();
        using (lora.Disable()) Assert.True(plain.allclose(model.call(input), rtol: 0, atol: 0));
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Assert.True(adapted.allclose(model.call(input), rtol: 1e-10));
        lora.Unmerge();
        lora.Save(_folder.Path);
        lora.Unload();
        Assert.True(plain.allclose(model.call(input), rtol: 0, atol: 0));
        using LoraModel<Pair> again = LoraModel.Load(model, _folder.Path, options);
        again.LoadAdapter("other", _folder["other"]);
        again.SetActive("default", "other");
        Assert.True(adapted.allclose(model.call(input), rtol: 1e-10));
        Assert.True(adapted.allclose(again.MergeAndUnload().call(input), rtol: 1e-10));
    }

    [Fact]
    public void What_a_kind_refuses_is_told_with_the_modules_path()
    {
        using var model = new Pair(new Quadratic(6, 5), new Quadratic(5, 1));
        var exception = Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, new LoraConfig { TargetModules = ModuleSelector.EndsWith("_second") }, Options));
        Assert.Equal("The model cannot be wrapped:\n  - '_second' has one output only (Parameter 'config')", exception.Message);
    }

    [Fact]
    public void DoRA_is_refused_for_layers_that_do_not_show_their_weight()
    {
        using var model = new Pair(new Quadratic(6, 5), new OwnLinear(5, 4));
        var config = new LoraConfig { UseDora = true, TargetModules = ModuleSelector.EndsWith("_first", "_second") };
        var exception = Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, config, Options));
        Assert.Equal(
            "The model cannot be wrapped:\n  - '_first' is adapted by a LoraQuadratic, for which DoRA (use_dora) is not defined: leave it out of the targets, or adapt it under a configuration of its own (Parameter 'config')",
            exception.Message);
    }

    private static WrapOptions Options => new() { LayerKinds = [new LinearKind<OwnLinear>(module => module.Weight, module => module.Bias), new QuadraticKind()] };

    private static nn.Module<Tensor, Tensor> Make(string kind, long inFeatures, long outFeatures) =>
        kind == "linear" ? new OwnLinear(inFeatures, outFeatures) : new Quadratic(inFeatures, outFeatures);

    private sealed class Pair : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _first;
        private readonly nn.Module<Tensor, Tensor> _second;

        public Pair(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> second)
            : base(nameof(Pair))
        {
            (_first, _second) = (first, second);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _second.call(_first.call(input).tanh());
    }
}
