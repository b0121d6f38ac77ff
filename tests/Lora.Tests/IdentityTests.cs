using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>What must not change anything changes nothing, whatever the layer, its holder and its type.</summary>
public sealed class IdentityTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly IDisposable _noGrad = no_grad();

    public static IEnumerable<TheoryDataRow<Holder, LayerKind, ScalarType>> Cases =>
        from holder in Enum.GetValues<Holder>()
        from kind in Enum.GetValues<LayerKind>()
        from type in new[] { ScalarType.Float32, ScalarType.Float64, ScalarType.BFloat16 }
        where type == ScalarType.Float32 || holder is Holder.Field or Holder.TypedField
        select new TheoryDataRow<Holder, LayerKind, ScalarType>(holder, kind, type);

    public void Dispose()
    {
        _noGrad.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_fresh_adapter_computes_what_the_base_does(Holder holder, LayerKind kind, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        Tensor[] before = Outputs(model, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Adapted.Config);
        Assert.All(lora.Layers, layer => Assert.Equal(holder.NeedsHook() ? AttachmentKind.Hooked : AttachmentKind.Swapped, layer.Attachment));
        AssertSame(before, Outputs(model, type));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_filled_adapter_adds_its_term(Holder holder, LayerKind kind, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        Tensor[] before = Outputs(model, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        Tensor[] after = Outputs(model, type);
        Assert.All(before.Zip(after), pair => Assert.True(Adapted.Difference(pair.First, pair.Second) > 0.05));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Disabled_is_the_base(Holder holder, LayerKind kind, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        Tensor[] before = Outputs(model, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        Tensor[] adapted = Outputs(model, type);
        using (lora.Disable()) AssertSame(before, Outputs(model, type));
        AssertSame(adapted, Outputs(model, type));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Merged_is_unmerged_within_rounding_and_unmerging_comes_back(Holder holder, LayerKind kind, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        Tensor[] adapted = Outputs(model, type);
        lora.Merge();
        AssertClose(adapted, Outputs(model, type));
        lora.Unmerge();
        AssertClose(adapted, Outputs(model, type));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Unmerging_with_the_original_kept_is_exact(Holder holder, LayerKind kind, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        Tensor[] adapted = Outputs(model, type);
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Assert.NotEqual(weights, Adapted.Weights(model));
        lora.Unmerge();
        Assert.Equal(weights, Adapted.Weights(model));
        AssertSame(adapted, Outputs(model, type));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Unloaded_is_the_base_bit_for_bit(Holder holder, LayerKind kind, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        IReadOnlyList<(string, bool)> flags = Adapted.Flags(model);
        Tensor[] before = Outputs(model, type);
        LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        Assert.Same(model, lora.Unload());
        AssertSame(before, Outputs(model, type));
        Assert.Equal(weights, Adapted.Weights(model));
        Assert.Equal(flags, Adapted.Flags(model));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Loaded_is_what_was_saved(Holder holder, LayerKind kind, ScalarType type)
    {
        using var folder = new TemporaryFolder();
        Tensor[] saved;
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(holder, kind, type)))
        {
            saved = Outputs(lora.Model, type);
            lora.Save(folder.Path);
        }
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(TestModels.Make(holder, kind, type), folder.Path);
        Assert.Empty(loaded.LoadReport);
        AssertSame(saved, Outputs(loaded.Model, type));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Merged_and_unloaded_is_merged(Holder holder, LayerKind kind, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        string[] names = [.. model.state_dict().Keys];
        LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Tensor[] merged = Outputs(model, type);
        lora.Unmerge();
        Assert.Same(model, lora.MergeAndUnload());
        AssertSame(merged, Outputs(model, type));
        Assert.Equal(names, model.state_dict().Keys);
    }

    private static Tensor[] Outputs(nn.Module<Tensor, Tensor> model, ScalarType type) =>
        [model.call(TestModels.Input(2, type)), model.call(TestModels.Input(3, type))];

    private static void AssertSame(Tensor[] expected, Tensor[] actual)
    {
        for (int i = 0; i < expected.Length; i++) Adapted.AssertSame(expected[i], actual[i]);
    }

    private static void AssertClose(Tensor[] expected, Tensor[] actual)
    {
        for (int i = 0; i < expected.Length; i++) Adapted.AssertClose(expected[i], actual[i]);
    }
}
