using Lora.Layers;
using Lora.Tests.Models;
using Lora.Variants;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>Where it is asked for, evaluation computes once what follows from weights alone, and notices every change but one made in place by hand.</summary>
public sealed class DoraCacheTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Tensor _input = TestModels.Input(3);

    public static TheoryData<string, Action<LoraModel<nn.Module<Tensor, Tensor>>>> Changes => new()
    {
        { "eval()", lora => lora.Model.eval() },
        { "train() and eval()", lora => { lora.Model.train(); lora.Model.eval(); } },
        { "a pass with gradients", lora => { using (enable_grad()) lora.Model.call(TestModels.Input()); } },
        { "another scale", lora => { lora.SetScale("default", 0.5); lora.ResetScale(); } },
        { "activation", lora => { lora.SetActive(); lora.SetActive("default"); } },
        { "a move to another type", lora => { lora.Model.to(ScalarType.Float64); lora.Model.to(ScalarType.Float32); } },
    };

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void It_computes_the_same()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(caches: true), plain = Wrap(caches: false);
        using var noGrad = no_grad();
        for (int i = 0; i < 2; i++)
        {
            Adapted.AssertSame(plain.Model.call(_input), lora.Model.call(_input));
            lora.MultiplyScale(0.7);
            plain.MultiplyScale(0.7);
        }
        lora.Merge();
        plain.Merge();
        Adapted.AssertSame(plain.Model.call(_input), lora.Model.call(_input));
        lora.Unmerge();
        plain.Unmerge();
        Adapted.AssertSame(plain.Model.call(_input), lora.Model.call(_input));
    }

    [Theory(DisableDiscoveryEnumeration = true)]
    [MemberData(nameof(Changes))]
    public void What_is_kept_is_forgotten_by(string change, Action<LoraModel<nn.Module<Tensor, Tensor>>> make)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(caches: true);
        using var noGrad = no_grad();
        Tensor before = lora.Model.call(_input);
        Magnitude(lora).mul_(2);
        // In place by hand: the norm and the magnitude of before are still used.
        Adapted.AssertSame(before, lora.Model.call(_input));
        make(lora);
        Assert.True(Adapted.Difference(before, lora.Model.call(_input)) > 0.01, change);
    }

    [Fact]
    public void Training_steps_in_evaluation_mode_are_noticed()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(caches: true), plain = Wrap(caches: false);
        foreach (LoraModel<nn.Module<Tensor, Tensor>> model in new[] { lora, plain })
        {
            using var optimizer = optim.SGD(model.TrainableParameters(), 0.1);
            for (int step = 0; step < 3; step++)
            {
                using (no_grad()) model.Model.call(_input);
                model.Model.call(_input).square().mean().backward();
                optimizer.step();
                optimizer.zero_grad();
            }
        }
        using var noGrad = no_grad();
        Adapted.AssertSame(plain.Model.call(_input), lora.Model.call(_input));
    }

    [Fact]
    public void Without_being_asked_for_nothing_is_kept()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(caches: false);
        using var noGrad = no_grad();
        Tensor before = lora.Model.call(_input);
        Magnitude(lora).mul_(2);
        Assert.True(Adapted.Difference(before, lora.Model.call(_input)) > 0.01);
    }

    private static Parameter Magnitude(LoraModel<nn.Module<Tensor, Tensor>> lora) => ((DoraVariant)lora.Layers[0].Layer.Adapter.Variant!).Magnitude;

    private static LoraModel<nn.Module<Tensor, Tensor>> Wrap(bool caches)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Adapted.Config with { UseDora = true }, new WrapOptions { CacheInEvaluation = caches });
        model.eval();
        return lora;
    }
}
