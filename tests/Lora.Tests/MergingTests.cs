using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>Merging is refused where it would do harm, and then nothing has been changed.</summary>
public sealed class MergingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void A_damaged_adapter_is_not_merged_into_any_layer(double value)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Nested));
        using (no_grad()) lora.Layers[^1].Layer.Adapter.B[1, 1] = value;
        IReadOnlyList<(string, string)> before = Adapted.Weights(lora.Model);
        const string message = "Merging adapter 'default' would put a NaN or an infinity into the weight of '_inner._second': "
            + "the adapter is damaged, or its scale (2.5) is too large for the weight's type. Nothing was merged.";
        Assert.Equal(message, Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
        Assert.Equal(message, Assert.Throws<InvalidOperationException>(() => lora.MergeAndUnload()).Message);
        Assert.False(lora.IsMerged);
        Assert.Equal(before, Adapted.Weights(lora.Model));

        lora.Merge(new MergeOptions { CheckFinite = false, KeepOriginal = true });
        lora.Unmerge();
        Assert.Equal(before, Adapted.Weights(lora.Model));
    }

    [Fact]
    public void A_sum_beyond_the_weights_type_is_not_merged()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field, type: ScalarType.Float16), Adapted.Config with { Alpha = 1e7 });
        IReadOnlyList<(string, string)> before = Adapted.Weights(lora.Model);
        Assert.Contains("its scale (5000000) is too large", Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message, StringComparison.Ordinal);
        Assert.Equal(before, Adapted.Weights(lora.Model));
    }

    [Fact]
    public void Adapters_that_are_finite_alone_and_not_together_are_not_merged()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field, type: ScalarType.Float16));
        lora.AddAdapter("more", Adapted.Config);
        // Rank 2 and alpha 5: each adds 2 · 2.5 · 100 · 80 = 40,000 to every weight, of which float16 holds 65,504.
        foreach (LoraAdapter adapter in lora.Layers.SelectMany(layer => layer.Layer.Adapters))
        {
            using var noGrad = no_grad();
            adapter.A.fill_(100);
            adapter.B.fill_(80);
        }
        IReadOnlyList<(string, string)> before = Adapted.Weights(lora.Model);
        foreach (string[] order in new[] { ["default", "more"], new[] { "more", "default" } })
        {
            lora.SetActive(order);
            Assert.Equal(
                $"Merging adapter '{order[1]}' after '{order[0]}' would put a NaN or an infinity into the weight of '_first': "
                + "the adapter is damaged, or its scale (2.5) is too large for the weight's type. Nothing was merged.",
                Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
            Assert.Equal(before, Adapted.Weights(lora.Model));
            lora.Merge(new MergeOptions { Adapters = [order[1]], KeepOriginal = true });
            lora.Unmerge();
        }
        // What was merged before counts as well.
        lora.Merge(new MergeOptions { Adapters = ["more"], KeepOriginal = true });
        Assert.StartsWith("Merging adapter 'default' would put", Assert.Throws<InvalidOperationException>(() => lora.Merge(new MergeOptions { Adapters = ["default"], KeepOriginal = true })).Message, StringComparison.Ordinal);
        lora.Unmerge();
        Assert.Equal(before, Adapted.Weights(lora.Model));
    }

    [Fact]
    public void A_shared_bias_does_not_change_and_so_does_not_prevent_merging()
    {
        var first = (Linear)LayerKind.Linear.Make(TestModels.In, TestModels.In);
        var second = (Linear)LayerKind.Linear.Make(TestModels.In, TestModels.In);
        second.bias = new Parameter(first.bias!.detach());
        using LoraModel<FieldModel> lora = Adapted.Wrap(new FieldModel(first, second));
        Tensor input = TestModels.Input(), adapted = lora.Model.call(input);
        lora.Merge();
        Adapted.AssertClose(adapted, lora.Model.call(input));
    }

    [Fact]
    public void A_weight_shared_with_a_layer_that_is_not_adapted_is_not_merged()
    {
        TestDevice.SkipWhereSharedMemoryIsNotTold();
        using var model = new TiedModel();
        using LoraModel<TiedModel> lora = Adapted.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_head", "_other") });
        IReadOnlyList<(string, string)> before = Adapted.Weights(model);
        const string message = "The weight of '_head' is shared with '_embedding.weight': merging would change that layer too. "
            + "Give the layer a weight of its own first, or leave it out of the targets.";
        Assert.Equal(message, Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
        Assert.Equal(message, Assert.Throws<InvalidOperationException>(() => lora.MergeAndUnload()).Message);
        Assert.Equal(before, Adapted.Weights(model));
        model.call(TestModels.Input());
    }

    [Fact]
    public void Two_adapted_layers_over_one_weight_are_not_merged()
    {
        TestDevice.SkipWhereSharedMemoryIsNotTold();
        using var model = new TiedModel(tieLinears: true);
        using LoraModel<TiedModel> lora = Adapted.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_other", "_twin") });
        Assert.StartsWith("The weight of '_other' is shared with '_twin.weight'", Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Holder.TypedField)]
    [InlineData(Holder.Shared)]
    [InlineData(Holder.SharedAcrossParents)]
    public void A_layer_is_not_tied_to_itself(Holder holder)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(holder));
        lora.Merge();
    }

    [Fact]
    public void Counts_take_tied_weights_once()
    {
        TestDevice.SkipWhereSharedMemoryIsNotTold();
        using var model = new TiedModel();
        using LoraModel<TiedModel> lora = Adapted.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_head") });
        Assert.Equal(new ParameterCounts(2 * (7 + 11), (7 * 11) + 11 + (7 * 7 * 2) + (2 * 7) + (2 * (7 + 11))), lora.ParameterCounts);
    }

    [Fact]
    public void Delta_is_scale_B_A()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { UseRankStabilizedScaling = true });
        LoraAdapter adapter = lora.Layers[0].Layer.Adapter;
        Assert.Equal(5 / Math.Sqrt(2), adapter.Scale);
        Tensor delta = adapter.ComputeDelta();
        Assert.Equal([5, 7], delta.shape);
        Assert.False(delta.requires_grad);
        Adapted.AssertClose(adapter.B.detach().matmul(adapter.A.detach()).mul(adapter.Scale), delta);
    }

    [Fact]
    public void A_weight_that_the_model_itself_shares_is_not_merged()
    {
        TestDevice.SkipWhereSharedMemoryIsNotTold();
        using var model = new OwnWeightModel();
        using LoraModel<OwnWeightModel> lora = Adapted.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_project") });
        IReadOnlyList<(string, string)> before = Adapted.Weights(model);
        Assert.StartsWith("The weight of '_project' is shared with '_own'", Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message, StringComparison.Ordinal);
        Assert.Equal(before, Adapted.Weights(model));
    }

    /// <summary>A parameter of the model's own over the memory of a layer's.</summary>
    private sealed class OwnWeightModel : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter _own;
        private readonly nn.Module<Tensor, Tensor> _project;

        public OwnWeightModel()
            : base(nameof(OwnWeightModel))
        {
            var project = (Linear)LayerKind.Linear.Make(TestModels.In, TestModels.In);
            _own = new Parameter(project.weight!.detach());
            _project = project;
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => nn.functional.linear(_project.call(input), _own);
    }

    /// <summary>An output head over the memory of an embedding: two parameters, one storage.</summary>
    private sealed class TiedModel : nn.Module<Tensor, Tensor>
    {
        private readonly Embedding _embedding;
        private readonly nn.Module<Tensor, Tensor> _head;
        private readonly nn.Module<Tensor, Tensor> _other;
        private readonly nn.Module<Tensor, Tensor> _twin;

        public TiedModel(bool tieLinears = false)
            : base(nameof(TiedModel))
        {
            _embedding = nn.Embedding(11, TestModels.In, device: TestDevice.Current);
            var head = (Linear)LayerKind.Linear.Make(TestModels.In, 11);
            head.weight = new Parameter(_embedding.weight!.detach());
            var other = (Linear)LayerKind.Linear.Make(TestModels.In, TestModels.In);
            var twin = (Linear)LayerKind.Linear.Make(TestModels.In, TestModels.In);
            if (tieLinears) twin.weight = new Parameter(other.weight!.detach());
            (_head, _other, _twin) = (head, other, twin);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _head.call(_twin.call(_other.call(input)));
    }
}
