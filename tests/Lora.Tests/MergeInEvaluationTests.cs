using Lora.Tests.Mixing;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>Where it is asked for, evaluation merges and training unmerges.</summary>
public sealed class MergeInEvaluationTests : IDisposable
{
    private static readonly WrapOptions _options = new() { MergeInEvaluation = true };
    private readonly DisposeScope _scope = NewDisposeScope();

    public static MatrixTheoryData<Holder, ScalarType> Cases => new([Holder.Field, Holder.TypedField, Holder.Sequential, Holder.Shared, Holder.Nested], [ScalarType.Float32, ScalarType.BFloat16]);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Going_back_and_forth_changes_no_bit(Holder holder, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, type: type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = ThreeAdapters.Wrap(model, _options);
        lora.SetActive("wide", "late");
        Tensor input = TestModels.Input(3, type), expected = model.call(input);
        IReadOnlyList<(string, string)> before = Adapted.Weights(model);
        for (int i = 0; i < 5; i++)
        {
            model.eval();
            Assert.Equal(["late", "wide"], lora.MergedAdapters.Order());
            Adapted.AssertClose(expected, model.call(input));
            model.eval();
            model.train();
            Assert.False(lora.IsMerged);
            Adapted.AssertSame(expected, model.call(input));
        }
        Assert.Equal(before, Adapted.Weights(model));
    }

    [Fact]
    public void A_part_of_the_model_and_adapters_that_come_later()
    {
        var inner = new FieldModel(LayerKind.Linear.Make(TestModels.In, 5), LayerKind.Linear.Make(5, TestModels.In));
        using var model = new SequentialModel(inner, LayerKind.Linear.Make(TestModels.In, 3));
        using LoraModel<SequentialModel> lora = LoraModel.Wrap(model, Adapted.Config, _options);
        lora.AddAdapter("wide", LoraConfig.AllLinear(rank: 3, alpha: 7));
        ThreeAdapters.Fill(lora);
        lora.SetActive("wide");
        inner.eval();
        Assert.Equal([true, true, false], lora.Layers.Select(layer => layer.Layer.Adapters.IsMerged));
        Assert.Equal(["'wide' is merged into '_layers.first._first', '_layers.first._second', but not into '_layers.second'"], lora.GetStatus().Irregularities);
        model.eval();
        Assert.All(lora.Layers, layer => Assert.True(layer.Layer.Adapters.IsMerged));
        model.train();
        Assert.False(lora.IsMerged);
    }

    [Fact]
    public void What_was_merged_otherwise_and_what_is_switched_off_stay_so()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, options: _options);
        lora.Merge();
        model.eval();
        model.train();
        Assert.True(lora.IsMerged);
        lora.Unmerge();
        using (lora.Disable())
        {
            model.eval();
            Assert.False(lora.IsMerged);
        }
        model.eval();
        Assert.Equal("Adapter 'default' is merged into the base weights and cannot be disabled: unmerge it first.", Assert.Throws<InvalidOperationException>(() => lora.Disable()).Message);
        lora.Unmerge();
        model.train();
        lora.SetActive();
        model.eval();
        Assert.False(lora.IsMerged);
    }

    [Fact]
    public void Without_the_option_nothing_is_merged()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        lora.Model.eval();
        Assert.False(lora.IsMerged);
    }

    [Fact]
    public void Shared_weights_are_refused_at_once()
    {
        TestDevice.SkipWhereSharedMemoryIsNotTold();
        using var model = new TwinModel();
        IReadOnlyList<(string, bool)> flags = Adapted.Flags(model);
        LoraConfig all = Adapted.Config, one = Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_free") };
        const string message = "The weight of '_one' is shared with '_twin.weight': merging would change that layer too. Give the layer a weight of its own first, or leave it out of the targets.";
        Assert.Equal(message, Assert.Throws<InvalidOperationException>(() => LoraModel.Wrap(model, all, _options)).Message);
        Assert.Equal(flags, Adapted.Flags(model));
        using LoraModel<TwinModel> lora = LoraModel.Wrap(model, one, _options);
        Assert.Equal(message, Assert.Throws<InvalidOperationException>(() => lora.AddAdapter("all", all)).Message);
        Assert.Equal(["default"], lora.AdapterNames);
        Assert.Single(lora.Layers);
    }

    /// <summary>Two linear layers over one weight, and one with its own.</summary>
    private sealed class TwinModel : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _one;
        private readonly nn.Module<Tensor, Tensor> _twin;
        private readonly nn.Module<Tensor, Tensor> _free = LayerKind.Linear.Make(TestModels.In, TestModels.In);

        public TwinModel()
            : base(nameof(TwinModel))
        {
            (var one, var twin) = ((Linear)LayerKind.Linear.Make(TestModels.In, TestModels.In), (Linear)LayerKind.Linear.Make(TestModels.In, TestModels.In));
            twin.weight = new Parameter(one.weight!.detach());
            (_one, _twin) = (one, twin);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _free.call(_twin.call(_one.call(input)));
    }
}
