using Lora.Initialization;
using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Initialization;

/// <summary>A start that is taken off the base weights while its adapter is active.</summary>
public sealed class WrittenStartTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<ScalarType, bool> Types => new() { { ScalarType.Float32, false }, { ScalarType.Float32, true }, { ScalarType.BFloat16, false } };

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Types))]
    public void It_computes_what_the_frozen_pair_does_and_the_weights_come_back(ScalarType type, bool transposed)
    {
        nn.Module<Tensor, Tensor> model = Starts.Model(transposed, type: type);
        Tensor input = Starts.Input(type: type), plain = model.call(input);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        using LoraModel<nn.Module<Tensor, Tensor>> beside = LoraModel.Wrap(Starts.Model(transposed, type: type), Starts.Config with { Initialization = AdapterInitialization.Pissa });
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.Config with { Initialization = AdapterInitialization.Pissa with { WritesBase = true } });
        AssertWritten(lora, true);
        Nudge(beside);
        Nudge(lora);
        Tensor trained = beside.Model.call(input);
        Adapted.AssertRelativelyClose(trained, model.call(input));

        foreach (Func<IDisposable> scope in (Func<IDisposable>[])[() => lora.Use(), () => lora.Disable(), () => lora.UsePerSample("__base__", "__base__", "__base__", "__base__", "__base__")])
        {
            using (scope())
            {
                AssertWritten(lora, false);
                Adapted.AssertSame(plain, model.call(input));
            }
            AssertWritten(lora, true);
        }

        lora.AddAdapter("other", Adapted.Config);
        lora.AddAdapter("second", Starts.Config with { Rank = 3, Initialization = AdapterInitialization.Olora with { WritesBase = true } });
        lora.SetActive("default", "second");
        AssertWritten(lora, true, "second");
        Adapted.AssertRelativelyClose(trained, model.call(input));
        lora.SetActive("other");
        Adapted.AssertSame(plain, model.call(input));
        lora.SetActive("default");
        lora.DeleteAdapter("second");

        lora.Merge(new MergeOptions { KeepOriginal = true });
        AssertWritten(lora, false);
        Adapted.AssertRelativelyClose(trained, model.call(input));
        lora.Unmerge();
        AssertWritten(lora, true);
        lora.SetScale("default", 0);
        Adapted.AssertRelativelyClose(plain, model.call(input));
        lora.ResetScale();
        Adapted.AssertRelativelyClose(trained, model.call(input));
        lora.Unload();
        Adapted.AssertSame(plain, model.call(input));
        Assert.Equal(weights, Adapted.Weights(model));
    }

    [Fact]
    public void Merging_for_good_leaves_the_trained_weights()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.Config with { Initialization = AdapterInitialization.Pissa with { WritesBase = true } });
        Nudge(lora);
        Tensor trained = model.call(Starts.Input());
        Adapted.AssertRelativelyClose(trained, lora.MergeAndUnload().call(Starts.Input()));
    }

    [Fact]
    public void Nothing_to_write_is_refused() => Assert.Equal(
        "The adapter's configuration cannot be used:\n  - Initialization.WritesBase is true, but init_lora_weights \"gaussian\" takes nothing off the base weights: leave it out.",
        Assert.Throws<ArgumentException>(() => (Starts.Config with { Initialization = AdapterInitialization.Gaussian with { WritesBase = true } }).Validate()).Message);

    private static void AssertWritten(LoraModel<nn.Module<Tensor, Tensor>> lora, bool expected, string adapter = "default") =>
        Assert.All(lora.Layers, layer => Assert.Equal(expected, ((LinearAdapter)layer.Layer.Adapters[adapter]).IsStartInBase));

    private static void Nudge(LoraModel<nn.Module<Tensor, Tensor>> lora)
    {
        using var noGrad = no_grad();
        int seed = 70;
        foreach (AdapterLayer layer in lora.Layers)
            foreach ((_, Parameter parameter) in layer.Layer.Adapter.FileTensors) parameter.add_(Noise.Fill(empty_like(parameter), seed++, 0.3));
    }
}
