using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Mixing;

/// <summary>Scopes of adapters per sample beside the other scopes, and what is refused meanwhile.</summary>
public sealed class PerSampleScopeTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly LoraModel<nn.Module<Tensor, Tensor>> _lora = ThreeAdapters.Wrap(TestModels.Make(Holder.Field));
    private readonly Tensor _input = TestModels.Input();

    public void Dispose()
    {
        _lora.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void The_innermost_scope_decides_and_all_end_with_an_exception()
    {
        Tensor active = Output(), plain = ThreeAdapters.Alone(_lora, LoraModel.BaseAdapter, _input), late = ThreeAdapters.Alone(_lora, "late", _input);
        string[] outerNames = ThreeAdapters.Names("dw-l"), innerNames = ThreeAdapters.Names("ll-d");
        Tensor outer = ThreeAdapters.RowByRow(_lora, outerNames, _input), inner = ThreeAdapters.RowByRow(_lora, innerNames, _input);
        Action failing = () =>
        {
            using (_lora.UsePerSample(outerNames))
            {
                Adapted.AssertClose(outer, Output());
                using (_lora.UsePerSample(innerNames)) Adapted.AssertClose(inner, Output());
                Adapted.AssertClose(outer, Output());
                using (_lora.Use("late"))
                {
                    Adapted.AssertSame(late, Output());
                    using (_lora.UsePerSample(innerNames)) Adapted.AssertClose(inner, Output());
                    Adapted.AssertSame(late, Output());
                    _lora.SetActive("late", "wide");
                }
                using (_lora.Disable())
                using (_lora.UsePerSample(innerNames))
                    Adapted.AssertSame(plain, Output());
                Adapted.AssertClose(outer, Output());
                Assert.Equal(["default"], _lora.ActiveAdapters);
                throw new TimeoutException();
            }
        };
        Assert.Throws<TimeoutException>(failing);
        Adapted.AssertSame(active, Output());
    }

    [Fact]
    public void Scopes_that_end_out_of_order_leave_the_last_open_one()
    {
        Tensor active = Output();
        string[] names = ThreeAdapters.Names("ll-d");
        Tensor expected = ThreeAdapters.RowByRow(_lora, names, _input);
        IDisposable outer = _lora.UsePerSample(ThreeAdapters.Names("dw-l")), inner = _lora.UsePerSample(names);
        outer.Dispose();
        Adapted.AssertClose(expected, Output());
        inner.Dispose();
        inner.Dispose();
        Adapted.AssertSame(active, Output());
    }

    [Fact]
    public void A_scope_that_outlives_its_handle_ends_in_peace()
    {
        Tensor plain = ThreeAdapters.Alone(_lora, LoraModel.BaseAdapter, _input);
        IDisposable scope = _lora.UsePerSample(ThreeAdapters.Names("dw-l"));
        nn.Module<Tensor, Tensor> model = _lora.Unload();
        scope.Dispose();
        Adapted.AssertSame(plain, model.call(_input));
    }

    [Fact]
    public void The_backward_pass_may_come_after_the_scope()
    {
        Tensor output;
        using (_lora.UsePerSample(ThreeAdapters.Names("wd-l"))) output = Output();
        output.square().sum().backward();
        Assert.All(_lora.TrainableParameters(), parameter => Assert.NotNull(parameter.grad));
    }

    [Fact]
    public void Adapters_that_come_meanwhile_change_nothing_and_can_be_used_next()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_second") });
        string[] names = ThreeAdapters.Names("d-d-");
        Tensor before;
        using (lora.UsePerSample(names))
        {
            before = lora.Model.call(_input);
            lora.AddAdapter("wide", LoraConfig.AllLinear(rank: 3, alpha: 7));
            ThreeAdapters.Fill(lora);
            using (lora.UsePerSample(ThreeAdapters.Names("w-w-"))) Assert.True(Adapted.Difference(before, lora.Model.call(_input)) > 0.01);
        }
        using (lora.Disable())
        {
            lora.AddAdapter("late", LoraConfig.AllLinear(rank: 3, alpha: 7));
            lora.SetActive("wide");
            Tensor plain = lora.Model.call(_input);
            using (lora.Disable()) Adapted.AssertSame(plain, lora.Model.call(_input));
        }
        Assert.True(Adapted.Difference(before, lora.Model.call(_input)) > 0.01);
    }

    [Fact]
    public void Wrong_names()
    {
        AssertFails<ArgumentException>("No adapter is named: name one for each sample of the batch. (Parameter 'names')", () => _lora.UsePerSample());
        AssertFails<ArgumentException>("There is no adapter 'x'; there is 'default', 'wide', 'late'. (Parameter 'names')", () => _lora.UsePerSample("wide", "x"));
        Assert.Throws<ArgumentNullException>(() => _lora.UsePerSample("wide", null!));
        AssertFails<ArgumentException>("'__base__' cannot name an adapter: give a name without dots and slashes other than 'base_layer' and '__base__'. (Parameter 'name')", () => _lora.AddAdapter("__base__", Adapted.Config));
        Adapted.AssertSame(Output(), Output());
    }

    [Fact]
    public void Another_number_of_rows_is_found_at_the_layer()
    {
        Tensor active = Output();
        using (_lora.UsePerSample(ThreeAdapters.Names("dw-ldw")))
        {
            AssertFails<InvalidOperationException>(
                "Adapters are named for 6 samples, but the input of '_first' has 4 rows: name one for each row of the first dimension, '__base__' for none.", () => Output());
        }
        using (_lora.UsePerSample(ThreeAdapters.Names("---"))) Assert.Throws<InvalidOperationException>(Output);
        Adapted.AssertSame(active, Output());
    }

    [Fact]
    public void Merged_adapters()
    {
        _lora.Merge();
        AssertFails<InvalidOperationException>("Adapter 'default' is merged into the base weights, so that every sample would get it: unmerge it first.", () => _lora.UsePerSample("wide", "late"));
        _lora.Unmerge();
    }

    [Fact]
    public void What_would_break_an_open_scope()
    {
        Tensor active = Output();
        using (_lora.UsePerSample(ThreeAdapters.Names("dw--")))
        {
            const string now = "Each sample of the batch has its own adapter at the moment, so ";
            AssertFails<InvalidOperationException>(now + "SetActive would change nothing: end the scope of UsePerSample first.", () => _lora.SetActive("wide"));
            AssertFails<InvalidOperationException>(now + "nothing can be merged: end the scope of UsePerSample first.", () => _lora.Merge());
            AssertFails<InvalidOperationException>(now + "nothing can be merged: end the scope of UsePerSample first.", () => _lora.MergeAndUnload());
            AssertFails<InvalidOperationException>("Adapter 'default' cannot be merged while each row of the batch has its own adapter: end the scope of UsePerSample first.", () => _lora.Layers[0].Layer.Adapters.Merge());
            const string used = "Adapter 'wide' is used for samples of a batch: end the scope of UsePerSample first.";
            AssertFails<InvalidOperationException>(used, () => _lora.DeleteAdapter("wide"));
            AssertFails<InvalidOperationException>(used, () => _lora.RenameAdapter("wide", "broad"));
            using (_lora.Use("late")) AssertFails<InvalidOperationException>(used, () => _lora.DeleteAdapter("wide"));
            _lora.RenameAdapter("late", "last");
            _lora.DeleteAdapter("last");
        }
        Adapted.AssertSame(active, Output());
        _lora.DeleteAdapter("wide");
    }

    private Tensor Output() => _lora.Model.call(_input);

    private static void AssertFails<TException>(string message, Action action)
        where TException : Exception => Assert.Equal(message, Assert.Throws<TException>(action).Message);
}
