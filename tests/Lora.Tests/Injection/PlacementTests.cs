using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Injection;

/// <summary>Where adapters stand in a model: names, order, conversions, hooks of the user.</summary>
public sealed class PlacementTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<Holder> Holders => [.. Enum.GetValues<Holder>()];

    // A model that holds a ModuleDict cannot be converted by TorchSharp.
    public static TheoryData<Holder> Convertible => [.. Enum.GetValues<Holder>().Where(holder => holder is not (Holder.ModuleDict or Holder.TypedDict))];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(Holder.Field, "_first.base_layer.weight _first.base_layer.bias _first.sql.lora_A _first.sql.lora_B _second.base_layer.weight _second.base_layer.bias _second.sql.lora_A _second.sql.lora_B")]
    [InlineData(Holder.TypedField, "_first.weight _first.bias _second.weight _second.bias _first_lora.sql.lora_A _first_lora.sql.lora_B _second_lora.sql.lora_A _second_lora.sql.lora_B")]
    public void Names_in_the_state_are_those_of_the_layers(Holder holder, string names)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, options: new WrapOptions { AdapterName = "sql" });
        Assert.Equal(names, string.Join(' ', model.state_dict().Keys));
        Assert.Equal(names.Split(' ').Order(), model.named_parameters().Select(p => p.name).Order());
    }

    [Fact]
    public void Only_some_layers_may_be_adapted_and_the_order_stays()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Shared);
        string[] before = [.. model.named_children().Select(child => child.name)];
        using var lora = LoraModel.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first", "_second") });
        Assert.Equal(before, model.named_children().Select(child => child.name));
        Assert.Equal(["_first", "_second"], lora.Layers.Select(layer => layer.Path));
    }

    [Fact]
    public void A_shared_layer_has_one_adapter_in_all_its_places()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.SharedAcrossParents);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        Assert.Equal(["_middle", "_first", "_rest.1"], lora.Layers.Select(layer => layer.Path));
        Assert.Equal(3, model.named_modules().Count(module => ReferenceEquals(module.module, lora.Layers[0].Layer)));
    }

    [Fact]
    public void Layers_describe_themselves()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Nested, LayerKind.Transposed), Adapted.Config with
        {
            RankPattern = new Dictionary<string, int> { ["_second"] = 3 },
            AlphaPattern = new Dictionary<string, double> { ["_second"] = 1.5 },
        });
        Assert.Equal(
            ["_inner._first  TransposedLinear 7→5  r=2 α=5 (swapped)", "_inner._second  TransposedLinear 5→3  r=3 α=1.5 (swapped)"],
            lora.Layers.Select(layer => layer.ToString()));
        AdapterLayer second = lora.Layers[1];
        Assert.Equal(("TransposedLinear", 3, 1.5, 0.5), (second.Kind, second.Rank, second.Alpha, second.Scale));
        Assert.Equal([3, 5], second.Layer.Adapter.A.shape);
        Assert.Equal([3, 3], second.Layer.Adapter.B.shape);
    }

    [Theory]
    [MemberData(nameof(Convertible))]
    public void Adapters_are_converted_with_the_model_and_stay_reachable(Holder holder)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        Tensor before = model.call(TestModels.Input());
        model.to(ScalarType.Float64);
        Assert.All(lora.TrainableParameters(), parameter => Assert.Equal(ScalarType.Float64, parameter.dtype));
        Assert.Equal(2 * lora.Layers.Count, lora.TrainableParameters().Count);
        Assert.All(model.parameters(), parameter => Assert.Equal(ScalarType.Float64, parameter.dtype));
        Tensor after = model.call(TestModels.Input(2, ScalarType.Float64));
        Assert.InRange(Adapted.Difference(before, after), 0, 1e-6);
        after.sum().backward();
        Assert.All(lora.TrainableParameters(), parameter => Assert.NotNull(parameter.grad));
        lora.Merge();
        lora.MergeAndUnload();
        Assert.InRange(Adapted.Difference(after, model.call(TestModels.Input(2, ScalarType.Float64))), 0, 1e-14);
    }

    [Fact]
    public void An_original_kept_while_the_model_is_converted_comes_back_in_the_new_type()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        Tensor before = model.call(TestModels.Input());
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        lora.Merge(new MergeOptions { KeepOriginal = true });
        model.to(ScalarType.Float64);
        lora.Unmerge();
        Assert.InRange(Adapted.Difference(before, lora.Unload().call(TestModels.Input(2, ScalarType.Float64))), 0, 1e-6);
    }

    [Fact]
    public void A_wrapped_model_on_another_device_can_be_moved_off_it()
    {
        Assert.SkipWhen(TestDevice.Current.type == DeviceType.CPU, "LORA_TEST_DEVICE names no other device.");
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field).to(TestDevice.Current);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        model.to(CPU);
        Assert.All(model.parameters(), parameter => Assert.Equal(DeviceType.CPU, parameter.device_type));
        model.to(TestDevice.Current);
        Assert.All(model.parameters(), parameter => Assert.Equal(TestDevice.Current.type, parameter.device_type));
    }

    [Theory]
    [InlineData(Holder.Field, true)]
    [InlineData(Holder.TypedField, true)]
    [InlineData(Holder.TypedField, false)]
    public void Hooks_of_the_user_keep_firing_and_what_they_kept_stays_valid(Holder holder, bool before)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        var first = (nn.Module<Tensor, Tensor>)model.named_children().First().module;
        Tensor plain = first.call(TestModels.Input());
        Tensor? kept = null, seen = null;
        Tensor Keep(Tensor output)
        {
            seen = output.clone();
            return kept = output;
        }
        if (before) first.register_forward_hook((_, _, output) => Keep(output));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        if (!before) first.register_forward_hook((_, _, output) => Keep(output));
        model.call(TestModels.Input());
        // A hook that was there first sees the base layer's output, a later one the sum, which the model disposes by itself.
        Assert.Equal(before, !kept!.IsInvalid);
        if (before) Adapted.AssertSame(plain, seen!);
        else Assert.True(Adapted.Difference(plain, seen!) > 0.05);
        lora.Unload();
        model.call(TestModels.Input());
        Adapted.AssertSame(plain, seen!);
    }

    [Fact]
    public void Registering_components_again_changes_nothing()
    {
        var model = new Registering(LayerKind.Linear.Make(7, 3));
        using LoraModel<Registering> lora = Adapted.Wrap(model);
        string[] names = [.. model.state_dict().Keys];
        model.Again();
        Assert.Equal(names, model.state_dict().Keys);
        Assert.Equal(["_layer.base_layer.weight", "_layer.base_layer.bias", "_layer.default.lora_A", "_layer.default.lora_B"], names);
        lora.Unload();
        model.Again();
        Assert.Equal(["_layer.weight", "_layer.bias"], model.state_dict().Keys);
    }

    [Fact]
    public void A_name_that_is_taken_is_left_to_its_owner()
    {
        var model = new Taken();
        using LoraModel<Taken> lora = Adapted.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_fc") });
        model.call(TestModels.Input());
        Assert.Equal(["_fc", "_fc_lora", "_fc_lora_"], model.named_children().Select(child => child.name));
        lora.Unload();
        Assert.Equal(["_fc", "_fc_lora"], model.named_children().Select(child => child.name));
    }

    [Fact]
    public void A_list_that_was_changed_after_its_layers_got_their_names_is_swapped_in_the_right_place()
    {
        var model = (ListModel<nn.Module<Tensor, Tensor>>)TestModels.Make(Holder.ModuleList);
        model.Layers.Insert(1, nn.Identity());
        Tensor before = model.call(TestModels.Input());
        LoraModel<ListModel<nn.Module<Tensor, Tensor>>> lora = Adapted.Wrap(model);
        model.call(TestModels.Input());
        lora.CheckReached();
        Assert.All(lora.Layers, layer => Assert.Contains((nn.Module<Tensor, Tensor>)layer.Layer, model.Layers));
        lora.Unload();
        Adapted.AssertSame(before, model.call(TestModels.Input()));
        Assert.Equal(["Linear", "Identity", "Linear"], model.Layers.Select(layer => layer.GetType().Name));
    }

    [Fact]
    public void A_private_field_of_a_base_class_is_swapped()
    {
        var model = new Derived(LayerKind.Linear.Make(7, 3));
        using LoraModel<Derived> lora = Adapted.Wrap(model);
        Assert.Equal(AttachmentKind.Swapped, Assert.Single(lora.Layers).Attachment);
        model.call(TestModels.Input());
        lora.CheckReached();
    }

    private class Registering : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _layer;

        public Registering(nn.Module<Tensor, Tensor> layer)
            : base(nameof(Registering))
        {
            _layer = layer;
            RegisterComponents();
            RegisterLayer();
        }

        public void Again() => RegisterComponents();

        public override Tensor forward(Tensor input) => _layer.call(input);

        // A derived class does not see private fields of its base: the base registers them by hand.
        private void RegisterLayer()
        {
            if (!named_children().Any()) register_module(nameof(_layer), _layer);
        }
    }

    private sealed class Derived(nn.Module<Tensor, Tensor> layer) : Registering(layer);

    private sealed class Taken : nn.Module<Tensor, Tensor>
    {
        private readonly Linear _fc = (Linear)LayerKind.Linear.Make(TestModels.In, TestModels.Middle);
        private readonly Linear _fc_lora = (Linear)LayerKind.Linear.Make(TestModels.Middle, TestModels.Out);

        public Taken()
            : base(nameof(Taken)) => RegisterComponents();

        public override Tensor forward(Tensor input) => _fc_lora.call(_fc.call(input));
    }
}
