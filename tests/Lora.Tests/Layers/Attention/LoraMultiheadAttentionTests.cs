using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Layers.Attention;

/// <summary>What an adapted attention computes, merged or not, and what it leaves as it was.</summary>
public sealed class LoraMultiheadAttentionTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly IDisposable _noGrad = no_grad();

    public static MatrixTheoryData<bool, ScalarType, Variant> Cases =>
        new([true, false], [ScalarType.Float64, ScalarType.Float32, ScalarType.BFloat16], [Variant.Plain, Variant.RankStabilized, Variant.Patterns]);

    public void Dispose()
    {
        _noGrad.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_identities_hold(bool swap, ScalarType type, Variant variant)
    {
        using var folder = new TemporaryFolder();
        LoraConfig config = variant switch
        {
            Variant.RankStabilized => AttentionModel.Config with { UseRankStabilizedScaling = true },
            Variant.Patterns => AttentionModel.Config with { RankPattern = new Dictionary<string, int> { ["_first"] = 4 }, AlphaPattern = new Dictionary<string, double> { ["^_second"] = 3 } },
            _ => AttentionModel.Config,
        };
        using AttentionModel model = AttentionModel.Make(swap, type);
        model.eval();
        Tensor input = AttentionModel.Input(type), plain = model.call(input);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        using LoraModel<AttentionModel> lora = LoraModel.Wrap(model, config);
        Assert.All(lora.Layers, layer => Assert.Equal(swap ? AttentionKind.Swap : AttentionKind.Hook, layer.Attachment));
        Adapted.AssertSame(plain, model.call(input));
        AttentionModel.Filled(lora);
        Tensor adapted = model.call(input);
        Assert.True(Adapted.Difference(plain, adapted) > 0.1);
        using (lora.Disable()) Adapted.AssertSame(plain, model.call(input));
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Adapted.AssertSame(adapted, model.call(input));
        lora.Unmerge();
        Adapted.AssertSame(adapted, model.call(input));
        lora.Merge();
        lora.Unmerge();
        Assert.True(Adapted.Difference(adapted, model.call(input)) <= (type == ScalarType.BFloat16 ? 0.1 : type == ScalarType.Float32 ? 2e-6 : 1e-14));
        using AttentionModel exact = AttentionModel.Make(swap);
        using LoraModel<AttentionModel> wide = AttentionModel.Filled(LoraModel.Wrap(exact, config));
        exact.eval();
        lora.Save(folder.Path);
        using AttentionModel again = AttentionModel.Make(swap, type);
        using LoraModel<AttentionModel> loaded = LoraModel.Load(again, folder.Path);
        again.eval();
        Adapted.AssertSame(adapted, again.call(input));
        Assert.True(Adapted.Difference(exact.call(AttentionModel.Input()), adapted) <= (type == ScalarType.BFloat16 ? 0.1 : type == ScalarType.Float32 ? 2e-6 : 0));
        lora.Merge(new MergeOptions { KeepOriginal = true });
        lora.Unmerge();
        if (type == ScalarType.BFloat16) return; // Its weights have been rounded by merging without a copy before.
        lora.Unload();
        Assert.Equal(weights.Select(weight => weight.Item1), Adapted.Weights(model).Select(weight => weight.Name));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_base_weights_are_restored_bit_for_bit_behind_each_pass(bool swap)
    {
        using AttentionModel model = AttentionModel.Make(swap, ScalarType.Float32);
        IReadOnlyList<(string, string)> before = Adapted.Weights(model);
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, AttentionModel.Config));
        using (enable_grad()) model.call(AttentionModel.Input(ScalarType.Float32).requires_grad_()).sum().backward();
        model.call(AttentionModel.Input(ScalarType.Float32));
        // The second attention is called with a mask of a wrong shape, once the first one was reached.
        model.Mask = zeros([2, 2], ScalarType.Float32, TestDevice.Current);
        Assert.ThrowsAny<Exception>(() => model.call(AttentionModel.Input(ScalarType.Float32)));
        using (enable_grad()) Assert.ThrowsAny<Exception>(() => model.call(AttentionModel.Input(ScalarType.Float32).requires_grad_()));
        Assert.All(lora.Layers.SelectMany(layer => layer.Layer.BaseLayer.parameters()), parameter => Assert.False(parameter.requires_grad));
        lora.Unload();
        Assert.Equal(before, Adapted.Weights(model));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Weights_that_are_not_asked_for_are_an_invalid_tensor(bool swap)
    {
        using AttentionModel model = AttentionModel.Make(swap);
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, AttentionModel.Config));
        Tensor input = AttentionModel.Input(), output = model.call(input);
        Assert.Equal([3, 5, 5], model.Weights!.shape);
        model.NeedsWeights = false;
        Adapted.AssertSame(output, model.call(input));
        Assert.True(model.Weights.IsInvalid);
        using (enable_grad())
        {
            model.call(input).sum().backward();
            Assert.True(model.Weights.IsInvalid);
        }
        Assert.All(lora.TrainableParameters(), parameter => Assert.True(parameter.grad!.abs().max().item<double>() > 0));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Several_adapters_add_up_and_each_has_its_own_parts(bool swap)
    {
        using AttentionModel model = AttentionModel.Make(swap);
        using LoraModel<AttentionModel> lora = LoraModel.Wrap(model, AttentionModel.Config);
        lora.AddAdapter("in", AttentionModel.Config with { Rank = 3, TargetModules = ModuleSelector.EndsWith("in_proj") });
        lora.RenameAdapter("in", "inner");
        AttentionModel.Filled(lora);
        lora.SetScale("inner", 0.5);
        lora.SetActive("inner", "default");
        Tensor input = AttentionModel.Input();
        Assert.True(Adapted.Difference(NaiveAttention.Forward(lora, input), model.call(input)) < 1e-13);
        Tensor both = model.call(input);
        lora.Merge(new MergeOptions { Adapters = ["inner"] });
        Assert.True(Adapted.Difference(both, model.call(input)) < 1e-13);
        lora.Unmerge("inner");
        lora.DeleteAdapter("default");
        lora.SetActive("inner");
        Assert.True(Adapted.Difference(NaiveAttention.Forward(lora, input), model.call(input)) < 1e-13);
    }

    [Fact]
    public void A_part_may_be_excluded()
    {
        using AttentionModel model = AttentionModel.Make(swap: true);
        using LoraModel<AttentionModel> lora = LoraModel.Wrap(model, AttentionModel.Config with { ExcludedModules = ModuleSelector.EndsWith("_second.out_proj") });
        Assert.Equal(["in_proj", "out_proj", "in_proj"], lora.Layers.SelectMany(layer => ((CompositeAdapter)layer.Layer.Adapter).PartNames));
    }

    [Fact]
    public void A_layer_made_by_hand_trains_alone()
    {
        using var layer = new LoraMultiheadAttention(nn.MultiheadAttention(6, 2).to(TestDevice.Current), rank: 2, alpha: 5);
        Assert.Equal(
            ["default.in_proj.lora_A", "default.in_proj.lora_B", "default.out_proj.lora_A", "default.out_proj.lora_B"],
            layer.named_parameters().Where(p => p.parameter.requires_grad).Select(p => p.name));
        Tensor x = AttentionModel.Input(ScalarType.Float32);
        Adapted.AssertSame(layer.BaseLayer.call(x, x, x).Item1, layer.call(x, x, x).Item1);
    }

    [Fact]
    public void Widths_of_key_and_value_of_their_own_are_refused()
    {
        const string reason = "has widths of key and value of their own (kdim, vdim), so that its input projections are no single matrix, which one pair could adapt: leave it out, or use an attention of equal widths";
        var exception = Assert.Throws<ArgumentException>(() => new LoraMultiheadAttention(nn.MultiheadAttention(6, 2, kdim: 4)));
        Assert.Equal($"The layer {reason}. (Parameter 'baseLayer')", exception.Message);
        using var model = new Holder(nn.MultiheadAttention(6, 2, vdim: 4));
        exception = Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, new LoraConfig { TargetModules = ModuleSelector.EndsWith("_attention") }));
        Assert.Equal($"The model cannot be wrapped:\n  - '_attention' {reason} (Parameter 'config')", exception.Message);
    }

    [Fact]
    public void A_field_that_cannot_hold_it_is_told_with_the_type_that_can()
    {
        using AttentionModel model = AttentionModel.Make(swap: false);
        var exception = Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, AttentionModel.Config with { TargetModules = ModuleSelector.EndsWith("_first") }, new WrapOptions { AllowHooks = false }));
        Assert.Contains(
            "'_first' cannot be replaced, since field '_first' of TypedModel has the type MultiheadAttention, and AllowHooks is false: give the field the type Module<Tensor, Tensor, Tensor, Tensor, Boolean, Tensor, Tuple<Tensor, Tensor>>, or allow hooks",
            exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_holds_half_of_the_output_projections_B_since_PEFT_adds_it_twice()
    {
        using var folder = new TemporaryFolder();
        using AttentionModel model = AttentionModel.Make(swap: true), other = AttentionModel.Make(swap: true);
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, AttentionModel.Config));
        lora.Save(folder.Path);
        var adapter = (CompositeAdapter)lora.Layers[0].Layer.Adapter;
        using (SafetensorsFile file = SafetensorsFile.Open(folder["adapter_model.safetensors"]))
        {
            Adapted.AssertSame(adapter.Part("out_proj")!.B.div(2), file.ReadTensor("base_model.model._first.base_layer.out_proj.lora_B.weight", TestDevice.Current));
            Adapted.AssertSame(adapter.Part("out_proj")!.A, file.ReadTensor("base_model.model._first.base_layer.out_proj.lora_A.weight", TestDevice.Current));
            Adapted.AssertSame(adapter.Part("in_proj")!.B, file.ReadTensor("base_model.model._first.lora_B.weight", TestDevice.Current));
        }
        byte[] bytes = File.ReadAllBytes(folder["adapter_model.safetensors"]);
        using LoraModel<AttentionModel> loaded = LoraModel.Load(other, folder.Path);
        Assert.Empty(loaded.LoadReport);
        Adapted.AssertSame(model.call(AttentionModel.Input()), other.call(AttentionModel.Input()));
        loaded.Save(folder.Path);
        Assert.Equal(bytes, File.ReadAllBytes(folder["adapter_model.safetensors"]));
    }

    private static class AttentionKind
    {
        public const Lora.AttachmentKind Swap = Lora.AttachmentKind.Swapped;
        public const Lora.AttachmentKind Hook = Lora.AttachmentKind.Hooked;
    }

    private sealed class Holder : nn.Module<Tensor, Tensor>
    {
        private readonly MultiheadAttention _attention;

        public Holder(MultiheadAttention attention)
            : base(nameof(Holder))
        {
            _attention = attention;
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _attention.call(input, input, input).Item1;
    }
}
