using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>What must not change anything changes nothing, whatever the layer, its holder and its type.</summary>
public sealed class IdentityTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly IDisposable _noGrad = no_grad();

    // Every holder with linear layers; every layer swapped and hooked, in every type and variant.
    public static IEnumerable<TheoryDataRow<Holder, LayerKind, ScalarType, Variant>> Cases =>
        from kind in Enum.GetValues<LayerKind>()
        from holder in Enum.GetValues<Holder>()
        from type in new[] { ScalarType.Float32, ScalarType.Float64, ScalarType.BFloat16 }
        from variant in Enum.GetValues<Variant>()
        let isPlace = holder is Holder.Field or Holder.NoField
        where isPlace || (kind.IsLinear() && variant == Variant.Plain && (type == ScalarType.Float32 || holder == Holder.TypedField))
        where variant != Variant.LoraBias || (kind.HasBias() && !kind.IsFused())
        where variant != Variant.Dora || kind.HasDora()
        where variant != Variant.Kasa || kind.IsLinear()
        select new TheoryDataRow<Holder, LayerKind, ScalarType, Variant>(holder, kind, type, variant);

    // KaSA starts from a truncated weight.
    public static IEnumerable<TheoryDataRow<Holder, LayerKind, ScalarType, Variant>> Additive => Cases.Where(row => row.Data.Item4 != Variant.Kasa);

    public static IEnumerable<TheoryDataRow<LayerKind, Variant, ScalarType>> HalfTypes =>
        from row in Cases
        where row.Data.Item1 == Holder.Field && row.Data.Item3 == ScalarType.BFloat16
        from type in new[] { ScalarType.BFloat16, ScalarType.Float16 }
        select new TheoryDataRow<LayerKind, Variant, ScalarType>(row.Data.Item2, row.Data.Item4, type);

    public void Dispose()
    {
        _noGrad.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Additive))]
    public void A_fresh_adapter_computes_what_the_base_does(Holder holder, LayerKind kind, ScalarType type, Variant variant)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        Tensor[] before = Outputs(model, kind, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, kind.Config(model, variant), kind.Options(model));
        Assert.All(lora.Layers, layer => Assert.Equal(holder.NeedsHook() ? AttachmentKind.Hooked : AttachmentKind.Swapped, layer.Attachment));
        AssertSame(before, Outputs(model, kind, type));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_filled_adapter_adds_its_term(Holder holder, LayerKind kind, ScalarType type, Variant variant)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        Tensor[] before = Outputs(model, kind, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(model, kind, variant);
        Tensor[] after = Outputs(model, kind, type);
        Assert.All(before.Zip(after), pair => Assert.True(Adapted.Difference(pair.First, pair.Second) > 0.05));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Disabled_is_the_base(Holder holder, LayerKind kind, ScalarType type, Variant variant)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        Tensor[] before = Outputs(model, kind, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(model, kind, variant);
        Tensor[] adapted = Outputs(model, kind, type);
        using (lora.Disable()) AssertSame(before, Outputs(model, kind, type));
        AssertSame(adapted, Outputs(model, kind, type));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Merged_is_unmerged_within_rounding_and_unmerging_comes_back(Holder holder, LayerKind kind, ScalarType type, Variant variant)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(model, kind, variant);
        Tensor[] adapted = Outputs(model, kind, type);
        lora.Merge();
        AssertClose(adapted, Outputs(model, kind, type));
        lora.Unmerge();
        AssertClose(adapted, Outputs(model, kind, type));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Unmerging_with_the_original_kept_is_exact(Holder holder, LayerKind kind, ScalarType type, Variant variant)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(model, kind, variant);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        Tensor[] adapted = Outputs(model, kind, type);
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Assert.NotEqual(weights, Adapted.Weights(model));
        lora.Unmerge();
        Assert.Equal(weights, Adapted.Weights(model));
        AssertSame(adapted, Outputs(model, kind, type));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Unloaded_is_the_base_bit_for_bit(Holder holder, LayerKind kind, ScalarType type, Variant variant)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        IReadOnlyList<(string, bool)> flags = Adapted.Flags(model);
        Tensor[] before = Outputs(model, kind, type);
        LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(model, kind, variant);
        Assert.Same(model, lora.Unload());
        AssertSame(before, Outputs(model, kind, type));
        Assert.Equal(weights, Adapted.Weights(model));
        Assert.Equal(flags, Adapted.Flags(model));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Loaded_is_what_was_saved(Holder holder, LayerKind kind, ScalarType type, Variant variant)
    {
        using var folder = new TemporaryFolder();
        Tensor[] saved;
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(TestModels.Make(holder, kind, type), kind, variant))
        {
            saved = Outputs(lora.Model, kind, type);
            lora.Save(folder.Path);
        }
        nn.Module<Tensor, Tensor> again = TestModels.Make(holder, kind, type);
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(again, folder.Path, kind.Options(again));
        Assert.Empty(loaded.LoadReport);
        AssertSame(saved, Outputs(loaded.Model, kind, type));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Merged_and_unloaded_is_merged(Holder holder, LayerKind kind, ScalarType type, Variant variant)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder, kind, type);
        string[] names = [.. model.state_dict().Keys];
        LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(model, kind, variant);
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Tensor[] merged = Outputs(model, kind, type);
        lora.Unmerge();
        Assert.Same(model, lora.MergeAndUnload());
        AssertSame(merged, Outputs(model, kind, type));
        Assert.Equal(names, model.state_dict().Keys);
    }

    // Merged equal to unmerged proves nothing where a kernel of the type is wrong in both.
    [Theory]
    [MemberData(nameof(HalfTypes))]
    public void A_half_type_computes_what_float32_does(LayerKind kind, Variant variant, ScalarType type)
    {
        nn.Module<Tensor, Tensor> half = TestModels.Make(Holder.Field, kind, type), full = TestModels.Make(Holder.Field, kind);
        foreach (((_, Parameter source), (_, Parameter target)) in half.named_parameters().Zip(full.named_parameters())) target.copy_(source);
        using LoraModel<nn.Module<Tensor, Tensor>> ofHalf = Wrap(half, kind, variant), ofFull = Wrap(full, kind, variant);
        Assert.All(ofHalf.TrainableParameters(), parameter => Assert.Equal(ScalarType.Float32, parameter.dtype));
        Tensor[] expected = [.. Outputs(full, kind, ScalarType.Float32, type).Select(output => output.to(type))];
        AssertClose(expected, Outputs(half, kind, type));
        ofHalf.Merge();
        AssertClose(expected, Outputs(half, kind, type));
        ofHalf.Unmerge();
        // The adapters go along, and their own kernels are of the half type then.
        full.to(type);
        Assert.All(ofFull.TrainableParameters(), parameter => Assert.Equal(type, parameter.dtype));
        AssertClose(expected, Outputs(full, kind, type));
    }

    private static LoraModel<nn.Module<Tensor, Tensor>> Wrap(nn.Module<Tensor, Tensor> model, LayerKind kind, Variant variant) =>
        Adapted.Wrap(model, kind.Config(model, variant), kind.Options(model));

    // The input can be rounded to a narrower type first.
    private static Tensor[] Outputs(nn.Module<Tensor, Tensor> model, LayerKind kind, ScalarType type, ScalarType? rounded = null) =>
        [.. new[] { 2, 3 }.Select(dimensions => kind.Input(dimensions, rounded ?? type)).Select(input => model.call(kind.IsEmbedding() ? input : input.to(type)))];

    private static void AssertSame(Tensor[] expected, Tensor[] actual)
    {
        for (int i = 0; i < expected.Length; i++) Adapted.AssertSame(expected[i], actual[i]);
    }

    private static void AssertClose(Tensor[] expected, Tensor[] actual)
    {
        for (int i = 0; i < expected.Length; i++) Adapted.AssertClose(expected[i], actual[i]);
    }
}
