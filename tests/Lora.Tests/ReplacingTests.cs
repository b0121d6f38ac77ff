using Lora.Tests.Mixing;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>An adapter is replaced under a running model, by one of another rank and other targets.</summary>
public sealed class ReplacingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<Holder> Holders => [Holder.Field, Holder.TypedField, Holder.Sequential, Holder.Shared];

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Holders))]
    public void Name_activity_and_places_stay(Holder holder)
    {
        SaveThree(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(TestModels.Make(holder)), expected = ThreeAdapters.Wrap(TestModels.Make(holder));
        Tensor input = TestModels.Input(3);
        lora.SetActive("wide", "default");
        // From every layer to the last one only, and back.
        Assert.Empty(lora.ReplaceAdapter("wide", _folder["late"]));
        expected.SetActive("late", "default");
        AssertState();
        lora.ReplaceAdapter("wide", _folder["wide"]);
        expected.SetActive("wide", "default");
        AssertState();
        lora.ReplaceAdapter("late", _folder["wide"]);
        lora.SetActive("late");
        expected.SetActive("wide");
        Adapted.AssertSame(expected.Model.call(input), lora.Model.call(input));

        void AssertState()
        {
            Assert.Equal(["default", "wide", "late"], lora.AdapterNames);
            Assert.Equal(["wide", "default"], lora.ActiveAdapters);
            Assert.Empty(lora.GetStatus().Irregularities);
            Adapted.AssertSame(expected.Model.call(input), lora.Model.call(input));
        }
    }

    [Fact]
    public void Places_in_the_layers_and_gradients_stay()
    {
        SaveThree(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(TestModels.Make(Holder.Field));
        lora.SetTrainable(false, "default");
        lora.ReplaceAdapter("default", _folder["wide"]);
        Assert.All(lora.Layers, layer => Assert.Equal("default", layer.Layer.Adapters.First().AdapterName));
        Assert.Equal(3, lora.Layers[0].Layer.Adapters["default"].Rank);
        Assert.Equal(Agreement.No, lora.GetStatus().RequiresGrad["default"]);
        lora.ReplaceAdapter("wide", _folder["wide"]);
        Assert.Equal(Agreement.Yes, lora.GetStatus().RequiresGrad["wide"]);
        Assert.Equal(3, lora.ConfigOf("default").Rank);
    }

    [Fact]
    public void The_only_adapter_of_a_layer()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using (LoraModel<nn.Module<Tensor, Tensor>> first = Adapted.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first") })) first.Save(_folder["first"]);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_second") });
        lora.ReplaceAdapter("default", _folder["first"]);
        Assert.Equal("_first", Assert.Single(lora.Layers).Path);
        model.call(TestModels.Input());
    }

    [Fact]
    public void In_scopes()
    {
        SaveThree(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(TestModels.Make(Holder.Field)), expected = ThreeAdapters.Wrap(TestModels.Make(Holder.Field));
        Tensor input = TestModels.Input();
        string[] names = ThreeAdapters.Names("l-dl");
        Tensor mixed = ThreeAdapters.RowByRow(expected, names, input);
        using (lora.Use("wide"))
        {
            lora.ReplaceAdapter("wide", _folder["late"]);
            using (expected.Use("late")) Adapted.AssertSame(expected.Model.call(input), lora.Model.call(input));
        }
        using (lora.Disable()) lora.ReplaceAdapter("wide", _folder["wide"]);
        using (lora.UsePerSample(names))
        {
            lora.ReplaceAdapter("wide", _folder["late"]);
            Adapted.AssertClose(mixed, lora.Model.call(input));
            Assert.Equal(
                "Adapter 'late' is used for samples of a batch: end the scope of UsePerSample first.", Assert.Throws<InvalidOperationException>(() => lora.ReplaceAdapter("late", _folder["wide"])).Message);
        }
        Adapted.AssertSame(expected.Model.call(input), lora.Model.call(input));
    }

    [Fact]
    public void Errors_change_nothing()
    {
        SaveThree(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(TestModels.Make(Holder.Field));
        IReadOnlyList<(string, string)> before = Adapted.Weights(lora.Model);
        string damaged = Path.Combine(_folder["wide"], "adapter_config.json");
        File.WriteAllText(damaged, File.ReadAllText(damaged).Replace("\"r\": 3", "\"r\": 4", StringComparison.Ordinal));
        Assert.Equal("There is no adapter 'x'; there is 'default', 'wide', 'late'. (Parameter 'names')", Assert.Throws<ArgumentException>(() => lora.ReplaceAdapter("x", _folder["late"])).Message);
        Assert.Throws<DirectoryNotFoundException>(() => lora.ReplaceAdapter("default", _folder["nowhere"]));
        Assert.Throws<AdapterFormatException>(() => lora.ReplaceAdapter("default", _folder["wide"]));
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Assert.Equal("Adapter 'default' is merged into the base weights: unmerge it before replacing it.", Assert.Throws<InvalidOperationException>(() => lora.ReplaceAdapter("default", _folder["late"])).Message);
        lora.ReplaceAdapter("wide", _folder["late"]); // Another one, beside the merged one.
        lora.Unmerge();
        using LoraModel<nn.Module<Tensor, Tensor>> expected = ThreeAdapters.Wrap(TestModels.Make(Holder.Field));
        expected.ReplaceAdapter("wide", _folder["late"]);
        Assert.Equal(Adapted.Weights(expected.Model), Adapted.Weights(lora.Model));
        Assert.NotEqual(before, Adapted.Weights(lora.Model));
    }

    private void SaveThree(Holder holder)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(TestModels.Make(holder));
        foreach (string name in lora.AdapterNames) lora.SaveAdapter(name, _folder[name]);
    }
}
