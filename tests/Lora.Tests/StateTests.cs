using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>Steps out of order are errors that say what to do.</summary>
public sealed class StateTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly LoraModel<nn.Module<Tensor, Tensor>> _lora = Adapted.Wrap(TestModels.Make(Holder.Field), options: new WrapOptions { AdapterName = "sql" });

    public void Dispose()
    {
        _lora.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void Merging_twice()
    {
        _lora.Merge();
        Assert.True(_lora.IsMerged);
        IReadOnlyList<(string, string)> merged = Adapted.Weights(_lora.Model);
        AssertFails("Adapter 'sql' is merged already: unmerge it before merging again.", () => _lora.Merge());
        Assert.Equal(merged, Adapted.Weights(_lora.Model));
    }

    [Fact]
    public void Unmerging_what_is_not_merged() =>
        AssertFails("Adapter 'sql' is not merged: there is nothing to unmerge.", _lora.Unmerge);

    [Fact]
    public void Disabling_what_is_merged()
    {
        _lora.Merge();
        AssertFails("Adapter 'sql' is merged into the base weights and cannot be disabled: unmerge it first.", () => _lora.Disable());
        Assert.False(_lora.IsDisabled);
    }

    [Fact]
    public void Merging_what_is_disabled()
    {
        IReadOnlyList<(string, string)> before = Adapted.Weights(_lora.Model);
        using (_lora.Disable())
        {
            AssertFails("Adapter 'sql' is disabled: merge it outside the scope of Disable.", () => _lora.Merge());
            AssertFails("Adapter 'sql' is disabled: merge it outside the scope of Disable.", () => _lora.MergeAndUnload());
        }
        Assert.Equal(before, Adapted.Weights(_lora.Model));
        _lora.Merge();
    }

    [Fact]
    public void Unloading_what_is_merged()
    {
        _lora.Merge();
        AssertFails("Adapter 'sql' is merged: unmerge it to get the base model back, or use MergeAndUnload to keep the merged weights.", () => _lora.Unload());
        _lora.Unmerge();
        _lora.Unload();
    }

    [Fact]
    public void Merging_and_saving_what_is_not_there()
    {
        _lora.SetActive();
        AssertFails("No adapter is active: there is nothing to merge.", () => _lora.Merge());
        AssertFails("No adapter is active: there is nothing to merge. Make one active, or take the layers out with Unload.", () => _lora.MergeAndUnload());
        Assert.Equal(["sql"], _lora.AdapterNames);
        _lora.DeleteAdapter("sql");
        AssertFails("The model has no adapter: there is nothing to save.", () => _lora.Save("folder"));
        Assert.False(Directory.Exists("folder"));
    }

    [Fact]
    public void What_was_wrapped_added_and_loaded_in_inference_mode_trains_outside_of_it()
    {
        using var folder = new TemporaryFolder();
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        LoraModel<nn.Module<Tensor, Tensor>> lora;
        using (inference_mode())
        {
            lora = Adapted.Wrap(model);
            lora.AddAdapter("dora", Adapted.Config with { UseDora = true });
            lora.Save(folder.Path);
            lora.LoadAdapter("loaded", folder.Path);
            lora.Combine("sum", [("default", 0.5), ("loaded", 0.25)], new CombineOptions { Method = CombineMethod.Cat });
            Assert.True(is_inference_mode_enabled());
        }
        lora.SetTrainable(true);
        lora.SetActive("default", "dora", "loaded", "sum");
        model.train();
        model.call(TestModels.Input()).square().sum().backward();
        Assert.All(lora.TrainableParameters(), parameter => Assert.NotNull(parameter.grad));
        lora.Dispose();
    }

    [Fact]
    public void Everything_after_the_end()
    {
        nn.Module<Tensor, Tensor> model = _lora.Model;
        _lora.Unload();
        Action[] uses =
        [
            () => _lora.Merge(), _lora.Unmerge, () => _lora.MergeAndUnload(), () => _lora.Unload(), () => _lora.Disable(), () => _lora.Save("folder"),
            () => _lora.TrainableParameters(), () => _lora.SetTrainable(true), _lora.CheckReached, () => _ = _lora.ParameterCounts,
        ];
        foreach (Action use in uses)
        {
            Assert.StartsWith(
                "This handle is finished: its adapters have been unloaded. Wrap or load again.", Assert.Throws<ObjectDisposedException>(use).Message, StringComparison.Ordinal);
        }
        _lora.Dispose();
        Assert.Same(model, _lora.Model);
        Assert.False(Directory.Exists("folder"));
    }

    [Fact]
    public void Disabling_nests_and_ends_with_the_last_scope()
    {
        IDisposable outer = _lora.Disable();
        IDisposable inner = _lora.Disable();
        inner.Dispose();
        inner.Dispose();
        Assert.True(_lora.IsDisabled);
        outer.Dispose();
        Assert.False(_lora.IsDisabled);
    }

    [Fact]
    public void Disabling_ends_with_an_exception()
    {
        void Fail()
        {
            using (_lora.Disable()) throw new ArithmeticException();
        }
        Assert.Throws<ArithmeticException>(Fail);
        Assert.False(_lora.IsDisabled);
    }

    [Fact]
    public void A_scope_that_outlives_its_handle_ends_in_peace()
    {
        IDisposable scope = _lora.Disable();
        _lora.Unload();
        scope.Dispose();
    }

    [Fact]
    public void Disposing_twice_and_after_the_model_is_no_error()
    {
        _lora.Merge();
        _lora.Model.Dispose();
        _lora.Dispose();
        _lora.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Disposing_a_merged_handle_unmerges(bool keep)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        Tensor before = model.call(TestModels.Input());
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        lora.Merge(new MergeOptions { KeepOriginal = keep });
        lora.Dispose();
        Adapted.AssertClose(before, model.call(TestModels.Input()));
        if (keep) Assert.Equal(weights, Adapted.Weights(model));
    }

    [Fact]
    public void A_layer_merged_by_hand_is_neither_lost_nor_merged_twice()
    {
        Tensor input = TestModels.Input(), adapted = _lora.Model.call(input);
        _lora.Layers[1].Layer.Adapters.Merge();
        Adapted.AssertClose(adapted, _lora.Model.call(input));
        Assert.True(_lora.IsMerged);
        _lora.Unmerge();
        Adapted.AssertClose(adapted, _lora.Model.call(input));
        _lora.Layers[0].Layer.Adapters.Merge();
        Adapted.AssertClose(adapted, _lora.MergeAndUnload().call(input));
    }

    private static void AssertFails(string message, Action action) => Assert.Equal(message, Assert.Throws<InvalidOperationException>(action).Message);
}
