using Lora.Tests.Mixing;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>Nothing that is done again and again keeps tensors alive.</summary>
[Collection(Alone.Name)]
public sealed class LeakTests
{
    public static TheoryData<Holder> Holders => [.. new[] { Holder.Field, Holder.Sequential, Holder.SharedAcrossParents, Holder.TypedField, Holder.TypedList }];

    public static TheoryData<LayerKind> Kinds => [.. Enum.GetValues<LayerKind>()];

    [Theory]
    [MemberData(nameof(Holders))]
    public void Training_steps(Holder holder)
    {
        using nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Adapted.Config with { Dropout = 0.1 });
        using Tensor input = TestModels.Input(3);
        using var optimizer = optim.AdamW(lora.TrainableParameters(), lr: 1e-3);
        Leaks.AssertNone(200, () =>
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            model.call(input).square().mean().backward();
            optimizer.step();
        });
    }

    [Theory]
    [MemberData(nameof(Holders))]
    public void Passes_outside_any_scope(Holder holder)
    {
        using nn.Module<Tensor, Tensor> model = TestModels.Make(holder, type: ScalarType.BFloat16);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Adapted.Config with { Dropout = 0.1 });
        using Tensor input = TestModels.Input(3, ScalarType.BFloat16);
        Leaks.AssertNone(50, () => model.call(input).Dispose());
        using (lora.Disable()) Leaks.AssertNone(50, () => model.call(input).Dispose());
        lora.Merge();
        Leaks.AssertNone(50, () => model.call(input).Dispose());
    }

    [Theory]
    [MemberData(nameof(Holders))]
    public void Wrapping_and_unloading(Holder holder)
    {
        using nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        Leaks.AssertNone(50, () => LoraModel.Wrap(model, Adapted.Config).Unload());
        Leaks.AssertNone(50, () => LoraModel.Wrap(model, Adapted.Config).MergeAndUnload());
        Leaks.AssertNone(50, () =>
        {
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Adapted.Config);
            lora.Merge(new MergeOptions { KeepOriginal = true });
        });
        Leaks.AssertNone(50, () =>
        {
            using var scope = NewDisposeScope();
            LoraModel.Wrap(model, Adapted.Config).Unload();
        });
        Leaks.AssertNone(10, () => Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("none") })));
    }

    [Theory]
    [MemberData(nameof(Holders))]
    public void Saving_and_loading(Holder holder)
    {
        using var folder = new TemporaryFolder();
        using nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model)) lora.Save(folder.Path);
        Leaks.AssertNone(50, () =>
        {
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(model, folder.Path);
            lora.Save(folder.Path);
        });
    }

    [Theory]
    [MemberData(nameof(Holders))]
    public void Merging_and_unmerging(Holder holder)
    {
        using nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        foreach (bool keep in new[] { false, true })
        {
            Leaks.AssertNone(50, () =>
            {
                lora.Merge(new MergeOptions { KeepOriginal = keep });
                lora.Unmerge();
            });
        }
    }

    [Theory]
    [MemberData(nameof(Holders))]
    public void Scopes(Holder holder)
    {
        using nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(model, dropout: 0.1);
        using Tensor input = Noise.Fill(empty([8, 2, TestModels.In], device: TestDevice.Current), 3, 1);
        string[] names = ThreeAdapters.Names("dw-lldw-");
        Leaks.AssertNone(50, () =>
        {
            using IDisposable perSample = lora.UsePerSample(names);
            model.call(input).Dispose(); // Outside of any dispose scope.
            using (no_grad()) model.call(input).Dispose();
            using (lora.Use("wide", "late")) model.call(input).Dispose();
            using (lora.Disable()) model.call(input).Dispose();
            using var scope = NewDisposeScope();
            model.call(input).square().mean().backward();
            model.zero_grad();
        });
        Leaks.AssertNone(10, () =>
        {
            using IDisposable perSample = lora.UsePerSample(names[1..]);
            Assert.Throws<InvalidOperationException>(() => model.call(input));
        });
    }

    [Theory]
    [MemberData(nameof(Holders))]
    public void Adding_replacing_and_deleting(Holder holder)
    {
        using var folder = new TemporaryFolder();
        using nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(model);
        foreach (string name in lora.AdapterNames) lora.SaveAdapter(name, folder[name]);
        Leaks.AssertNone(20, () =>
        {
            lora.AddAdapter("more", Adapted.Config);
            lora.DeleteAdapter("more");
            lora.LoadAdapter("more", folder["late"]);
            lora.RenameAdapter("more", "most");
            lora.ReplaceAdapter("most", folder["wide"]);
            using (NewDisposeScope()) lora.ReplaceAdapter("default", folder["late"]);
            lora.ReplaceAdapter("default", folder["default"]);
            lora.DeleteAdapter("most");
            Assert.Throws<DirectoryNotFoundException>(() => lora.ReplaceAdapter("default", folder["none"]));
            _ = lora.GetStatus();
        });
        using Tensor input = TestModels.Input(3);
        model.call(input).Dispose(); // What was made in a scope outlives it.
    }

    [Theory]
    [MemberData(nameof(Holders))]
    public void Changes_of_mode(Holder holder)
    {
        using nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(model, new WrapOptions { MergeInEvaluation = true });
        Leaks.AssertNone(50, () =>
        {
            model.eval();
            model.train();
        });
    }

    [Theory]
    [MemberData(nameof(Holders))]
    public void Asking(Holder holder)
    {
        using nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        Leaks.AssertNone(50, () =>
        {
            _ = lora.ParameterCounts;
            _ = lora.TrainableParameters();
            lora.SetTrainable(false);
            lora.SetTrainable(true);
            lora.Layers[0].Layer.Adapter.ComputeDelta().Dispose();
        });
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_kind_of_layer(LayerKind kind)
    {
        using var folder = new TemporaryFolder();
        using nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind);
        (LoraConfig config, WrapOptions options) = (kind.Config(model, kind.HasBias() && !kind.IsFused() ? Variant.LoraBias : Variant.Plain), kind.Options(model));
        Leaks.AssertNone(20, () => LoraModel.Wrap(model, config, options).Unload());
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, config, options);
        using Tensor input = kind.Input(3, ScalarType.Float32);
        Leaks.AssertNone(20, () => model.call(input).Dispose());
        Leaks.AssertNone(20, () =>
        {
            lora.Layers[0].Layer.Adapter.ComputeDelta().Dispose();
            lora.Merge(new MergeOptions { KeepOriginal = true });
            model.call(input).Dispose();
            lora.Unmerge();
            lora.Merge();
            lora.Unmerge();
            lora.Save(folder.Path);
        });
        Leaks.AssertNone(20, () =>
        {
            using var scope = NewDisposeScope();
            model.call(input).square().sum().backward();
        });
    }

    [Fact]
    public void An_adapter_made_inside_a_scope_outlives_it()
    {
        using nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        LoraModel<nn.Module<Tensor, Tensor>> lora;
        using (NewDisposeScope()) lora = Adapted.Wrap(model);
        using (NewDisposeScope()) lora.Merge(new MergeOptions { KeepOriginal = true });
        lora.Unmerge();
        using Tensor input = TestModels.Input();
        model.call(input).Dispose();
        lora.Dispose();
    }
}
