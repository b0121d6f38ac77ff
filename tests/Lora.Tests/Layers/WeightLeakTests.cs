using Lora.Tests.Layers.Parameters;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Layers;

/// <summary>Adapters that change weights inside their layers keep no tensors alive, whatever is done again and again.</summary>
[Collection(Alone.Name)]
public sealed class WeightLeakTests
{
    public static TheoryData<string> Models => ["attention, swapped", "attention, hooked", "parameters"];

    [Theory]
    [MemberData(nameof(Models))]
    public void Training_steps(string kind)
    {
        using nn.Module<Tensor, Tensor> model = Make(kind, out LoraConfig config, out Tensor input);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = AttentionModel.Filled(LoraModel.Wrap(model, config));
        using var optimizer = optim.AdamW(lora.TrainableParameters(), lr: 1e-3);
        using Tensor trained = input.requires_grad_();
        Leaks.AssertNone(50, () =>
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            model.call(trained).square().mean().backward();
            optimizer.step();
        });
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Passes_outside_any_scope(string kind)
    {
        using nn.Module<Tensor, Tensor> model = Make(kind, out LoraConfig config, out Tensor input);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = AttentionModel.Filled(LoraModel.Wrap(model, config, new WrapOptions { AllowUnreached = true }));
        // Outside the model: it keeps intermediates of its own.
        void Pass()
        {
            if (model is AttentionModel layered)
            {
                Tuple<Tensor, Tensor> outputs = layered.Call(true, input, input, input);
                outputs.Item1.Dispose();
                outputs.Item2.Dispose();
                return;
            }
            using var scope = NewDisposeScope();
            model.call(input);
        }
        Leaks.AssertNone(50, Pass);
        using (no_grad()) Leaks.AssertNone(50, Pass);
        using (lora.Disable()) Leaks.AssertNone(50, Pass);
        lora.Merge();
        Leaks.AssertNone(50, Pass);
        input.Dispose();
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Passes_that_fail(string kind)
    {
        using nn.Module<Tensor, Tensor> model = Make(kind, out LoraConfig config, out Tensor input);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = AttentionModel.Filled(LoraModel.Wrap(model, config));
        using Tensor bad = zeros([2, 2], input.dtype, TestDevice.Current);
        if (model is AttentionModel attention) attention.Mask = bad;
        else ((MixtureModel)model).Mix.Fails = true;
        Leaks.AssertNone(20, () =>
        {
            using var scope = NewDisposeScope();
            Assert.ThrowsAny<Exception>(() => model.call(input));
        });
        input.Dispose();
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Wrapping_merging_saving_and_unloading(string kind)
    {
        using var folder = new TemporaryFolder();
        using nn.Module<Tensor, Tensor> model = Make(kind, out LoraConfig config, out Tensor input);
        if (model is AttentionModel) config = config with { TargetModules = ModuleSelector.EndsWith("_first.in_proj", "_second") };
        Leaks.AssertNone(20, () => LoraModel.Wrap(model, config).MergeAndUnload());
        Leaks.AssertNone(20, () =>
        {
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config);
            lora.Save(folder.Path);
            lora.LoadAdapter("other", folder.Path);
            lora.SetActive("default", "other");
            lora.Merge(new MergeOptions { KeepOriginal = true });
            lora.Unmerge("default");
            lora.Unmerge();
            lora.DeleteAdapter("other");
        });
        input.Dispose();
    }

    private static nn.Module<Tensor, Tensor> Make(string kind, out LoraConfig config, out Tensor input)
    {
        bool attention = kind.StartsWith("attention", StringComparison.Ordinal);
        config = attention ? AttentionModel.Config : MixtureModel.Config;
        input = attention ? AttentionModel.Input() : MixtureModel.Input();
        return attention ? AttentionModel.Make(kind.EndsWith("swapped", StringComparison.Ordinal), dropout: 0.2) : new MixtureModel();
    }
}
