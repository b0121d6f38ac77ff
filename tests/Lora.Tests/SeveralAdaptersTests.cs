using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>Several adapters of different rank and targets in one model.</summary>
public sealed class SeveralAdaptersTests : IDisposable
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
    public void Terms_of_active_adapters_add_up(Holder holder)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        Tensor input = TestModels.Input(3), plain = model.call(input);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(model);
        Tensor first = model.call(input);
        lora.SetActive("wide");
        Tensor wide = model.call(input);
        lora.SetActive("late");
        Tensor late = model.call(input);
        lora.SetActive();
        Adapted.AssertSame(plain, model.call(input));
        Assert.All([first, wide, late], output => Assert.True(Adapted.Difference(plain, output) > 0.01));

        // Both adapt the last layer only at their own rank, whose input is then the same: there the terms add.
        lora.SetActive("late", "wide");
        Tensor both = model.call(input);
        lora.SetActive("wide", "late");
        Adapted.AssertClose(both, model.call(input));
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Adapted.AssertClose(both, model.call(input));
        lora.Unmerge();
        lora.SetActive("default");
        Adapted.AssertSame(first, model.call(input));
    }

    [Fact]
    public void Scopes_switch_and_restore_also_after_an_exception()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        Tensor input = TestModels.Input();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(model);
        Tensor first = model.call(input);
        Action failing = () =>
        {
            using (lora.Use("wide", "late"))
            using (lora.Use())
            using (lora.Use("late"))
            {
                Assert.Equal(["late"], lora.ActiveAdapters);
                throw new TimeoutException();
            }
        };
        Assert.Throws<TimeoutException>(failing);
        Assert.Equal(["default"], lora.ActiveAdapters);
        Adapted.AssertSame(first, model.call(input));
        using (lora.Use("wide")) lora.DeleteAdapter("default");
        Assert.Empty(lora.ActiveAdapters);
    }

    [Fact]
    public void Scopes_that_end_in_another_order_give_back_what_was_active_before_all_of_them()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(TestModels.Make(Holder.Field));
        IDisposable first = lora.Use("wide"), second = lora.Use("late"), third = lora.Use();
        first.Dispose();
        Assert.Empty(lora.ActiveAdapters);
        third.Dispose();
        Assert.Equal(["late"], lora.ActiveAdapters);
        second.Dispose();
        Assert.Equal(["default"], lora.ActiveAdapters);
        IDisposable choice = lora.Use("wide");
        using (lora.UsePerSample("default", "late"))
        {
            choice.Dispose();
        }
        Assert.Equal(["default"], lora.ActiveAdapters);
    }

    [Fact]
    public void An_adapter_that_is_renamed_in_a_scope_is_active_again_after_it()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(model);
        Tensor first = model.call(TestModels.Input());
        using (lora.Use("wide"))
        using (lora.Use("late"))
        {
            lora.RenameAdapter("default", "sql");
            lora.RenameAdapter("late", "later");
            Assert.Equal(["later"], lora.ActiveAdapters);
        }
        Assert.Equal(["sql"], lora.ActiveAdapters);
        Adapted.AssertSame(first, model.call(TestModels.Input()));
    }

    [Fact]
    public void The_active_adapters_can_be_deleted_one_by_one()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(TestModels.Make(Holder.Field));
        lora.SetActive("late", "default");
        IReadOnlyList<string> active = lora.ActiveAdapters;
        foreach (string name in active) lora.DeleteAdapter(name);
        Assert.Equal(["late", "default"], active);
        Assert.Empty(lora.ActiveAdapters);
        Assert.Equal(["wide"], lora.AdapterNames);
    }

    [Fact]
    public void Deleting_gives_layers_without_adapters_back()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        IReadOnlyList<(string, string)> before = Adapted.Weights(model);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(model);
        Assert.Equal(2, lora.Layers.Count);
        lora.DeleteAdapter("default");
        lora.DeleteAdapter("wide");
        AdapterLayer left = Assert.Single(lora.Layers);
        Assert.Equal(("_second", "late"), (left.Path, Assert.Single(left.Layer.Adapters).AdapterName));
        lora.DeleteAdapter("late");
        Assert.Empty(lora.Layers);
        Assert.Equal(before, Adapted.Weights(model));
        Assert.Equal("The model has no adapter: add or load one.", Assert.Throws<InvalidOperationException>(() => lora.Config).Message);
        lora.AddAdapter("again", Adapted.Config);
        lora.SetActive("again");
        Assert.Equal(2, lora.Layers.Count);
    }

    [Fact]
    public void A_renamed_adapter_is_the_same_adapter()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        Tensor input = TestModels.Input();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(model);
        Tensor first = model.call(input);
        lora.RenameAdapter("default", "first");
        Assert.Equal(["first", "wide", "late"], lora.AdapterNames);
        Assert.Equal(["first"], lora.ActiveAdapters);
        Adapted.AssertSame(first, model.call(input));
        Assert.Contains("_first.first.lora_A", model.state_dict().Keys);
    }

    [Fact]
    public void Scales_are_set_multiplied_and_reset()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(model);
        double Scale(string name) => lora.Layers[^1].Layer.Adapters[name].Scale;
        lora.SetScale("wide", 0.5);
        lora.MultiplyScale(3);
        lora.MultiplyScale(2, "wide", "default");
        Assert.Equal([2.5 * 6, 7.0 / 3 * 0.5 * 2, 1.5], new[] { Scale("default"), Scale("wide"), Scale("late") });
        lora.ResetScale("default", "wide");
        Assert.Equal([2.5, 7.0 / 3], new[] { Scale("default"), Scale("wide") });
        lora.Merge();
        Assert.Equal("Adapter 'default' is merged with its present scale: unmerge it before changing that.", Assert.Throws<InvalidOperationException>(() => lora.SetScale("default", 2)).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => lora.SetScale("wide", double.NaN));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void One_of_several_merged_adapters_can_be_unmerged(bool keepOriginal)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        IReadOnlyList<(string, string)> before = Adapted.Weights(model);
        Tensor input = TestModels.Input();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(model);
        lora.SetActive("default", "wide", "late");
        Tensor all = model.call(input);
        lora.Merge(new MergeOptions { KeepOriginal = keepOriginal, Adapters = ["wide"] });
        lora.Merge(new MergeOptions { KeepOriginal = keepOriginal, Adapters = ["default", "late"] });
        Assert.Equal(["default", "late", "wide"], lora.MergedAdapters.Order());
        Adapted.AssertClose(all, model.call(input));
        lora.Unmerge("wide");
        Adapted.AssertClose(all, model.call(input));
        lora.Unmerge();
        if (keepOriginal) Adapted.AssertSame(all, model.call(input));
        lora.Unload();
        if (keepOriginal) Assert.Equal(before, Adapted.Weights(model));
    }

    [Fact]
    public void Named_adapters_are_saved_in_folders_of_their_own_and_loaded_again()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        Tensor input = TestModels.Input();
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Three(model)) lora.Save(_folder["all"]);
        Assert.Equal(
            ["adapter_config.json", "adapter_model.safetensors", "late/adapter_config.json", "late/adapter_model.safetensors", "wide/adapter_config.json", "wide/adapter_model.safetensors"],
            Directory.EnumerateFiles(_folder["all"], "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(_folder["all"], file).Replace('\\', '/')).Order(StringComparer.Ordinal));
        using LoraModel<nn.Module<Tensor, Tensor>> expected = Three(TestModels.Make(Holder.Field));
        using LoraModel<nn.Module<Tensor, Tensor>> again = LoraModel.Load(TestModels.Make(Holder.TypedField), _folder["all"]);
        Assert.Empty(again.LoadAdapter("wide", _folder["all/wide"]));
        Assert.Empty(again.LoadAdapter("late", _folder["all/late"]));
        foreach (string[] names in new[] { ["default"], ["wide"], new[] { "late", "default", "wide" } })
        {
            expected.SetActive(names);
            again.SetActive(names);
            Adapted.AssertSame(expected.Model.call(input), again.Model.call(input));
        }
    }

    [Fact]
    public void Wrong_names_and_states_are_errors_and_change_nothing()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(model);
        string[] keys = [.. model.state_dict().Keys];
        const string unknown = "There is no adapter 'x'; there is 'default', 'wide', 'late'. (Parameter 'names')";
        Action[] withUnknown = [() => lora.SetActive("wide", "x"), () => lora.Use("x"), () => lora.DeleteAdapter("x"), () => lora.SetScale("x", 1), () => lora.RenameAdapter("x", "y"), () => lora.SaveAdapter("x", "folder"), () => lora.SetTrainable(false, "x"), () => lora.Unmerge("x"), () => lora.ConfigOf("x")];
        Assert.All(withUnknown, action => Assert.Equal(unknown, Assert.Throws<ArgumentException>(action).Message));
        Assert.Equal("There is an adapter 'wide' already: delete or rename it, or choose another name. (Parameter 'name')", Assert.Throws<ArgumentException>(() => lora.AddAdapter("wide", Adapted.Config)).Message);
        Assert.StartsWith("Adapter 'wide' is named twice", Assert.Throws<ArgumentException>(() => lora.SetActive("wide", "wide")).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => lora.AddAdapter("a.b", Adapted.Config));
        Assert.Throws<ArgumentException>(() => lora.AddAdapter("other", Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_nowhere") }));
        Assert.Throws<DirectoryNotFoundException>(() => lora.LoadAdapter("other", _folder["nowhere"]));
        Assert.Equal("Adapter 'wide' is not active, and merging it would change what the model computes: make it active first.", Assert.Throws<InvalidOperationException>(() => lora.Merge(new MergeOptions { Adapters = ["wide"] })).Message);
        lora.Merge();
        Assert.Equal("Adapter 'default' is merged into the base weights and cannot become inactive: unmerge it first.", Assert.Throws<InvalidOperationException>(() => lora.SetActive("wide")).Message);
        Assert.Equal("Adapter 'default' is merged into the base weights: unmerge it before deleting it.", Assert.Throws<InvalidOperationException>(() => lora.DeleteAdapter("default")).Message);
        lora.Unmerge();
        Assert.Equal(keys, model.state_dict().Keys);
        Assert.Equal(["default"], lora.ActiveAdapters);
    }

    [Fact]
    public void A_folder_that_does_not_fit_leaves_the_model_as_it_was()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Three(model);
        lora.SaveAdapter("late", _folder["late"]);
        File.WriteAllText(Path.Combine(_folder["late"], "adapter_config.json"), File.ReadAllText(Path.Combine(_folder["late"], "adapter_config.json")).Replace("_second", "_first", StringComparison.Ordinal));
        string[] keys = [.. model.state_dict().Keys];
        Assert.Throws<AdapterFormatException>(() => lora.LoadAdapter("other", _folder["late"]));
        Assert.Equal(keys, model.state_dict().Keys);
        Assert.Equal(["default", "wide", "late"], lora.AdapterNames);
    }

    private static LoraModel<TModel> Three<TModel>(TModel model)
        where TModel : nn.Module
    {
        LoraModel<TModel> lora = LoraModel.Wrap(model, Adapted.Config);
        lora.AddAdapter("wide", LoraConfig.AllLinear(rank: 3, alpha: 7));
        string last = lora.Layers[^1].Path;
        lora.AddAdapter("late", LoraConfig.AllLinear(rank: 4, alpha: 6) with { TargetModules = ModuleSelector.EndsWith(last) });
        using var noGrad = no_grad();
        int seed = 70;
        foreach (LoraAdapter adapter in lora.AdapterNames.SelectMany(name => lora.Layers.SelectMany(layer => layer.Layer.Adapters.Where(a => a.AdapterName == name))))
        {
            Noise.Fill(adapter.A, seed++, 0.5);
            Noise.Fill(adapter.B, seed++, 0.5);
        }
        return lora;
    }
}
