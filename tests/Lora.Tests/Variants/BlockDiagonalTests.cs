using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using Lora.Variants;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>BD-LoRA computes what LoRA does with matrices that are zero outside of their blocks, and holds the blocks alone.</summary>
public sealed class BlockDiagonalTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static IEnumerable<TheoryDataRow<LayerKind, ScalarType>> Kinds =>
        from kind in Enum.GetValues<LayerKind>()
        where kind.IsLinear()
        from type in new[] { ScalarType.Float64, ScalarType.BFloat16 }
        select new TheoryDataRow<LayerKind, ScalarType>(kind, type);

    private static LoraConfig Config => new() { Rank = 6, Alpha = 5, TargetModules = ModuleSelector.AllLinear, BlockDiagonal = new BlockDiagonalOptions { DownModules = ["_second"], UpModules = ["first"], Blocks = 3 } };

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void It_is_LoRA_with_zeros_outside_of_the_blocks(LayerKind kind, ScalarType type)
    {
        FieldModel model = Model(kind, type), dense = Model(kind, type);
        using LoraModel<FieldModel> lora = Adapted.Wrap(model, Config), plain = LoraModel.Wrap(dense, Config with { BlockDiagonal = null });
        LoraAdapter up = lora.Layers[0].Layer.Adapter, down = lora.Layers[1].Layer.Adapter;
        Assert.Equal([6, 8], up.A.shape);
        Assert.Equal([9, 2], up.B.shape);
        Assert.Equal([6, 3], down.A.shape);
        Assert.Equal([4, 6], down.B.shape);
        using (no_grad())
        {
            LoraAdapter denseUp = plain.Layers[0].Layer.Adapter, denseDown = plain.Layers[1].Layer.Adapter;
            denseUp.A.copy_(up.A);
            denseDown.B.copy_(down.B);
            denseDown.A.zero_();
            for (long row = 0; row < 9; row++)
                for (long column = 0; column < 2; column++) denseUp.B[row, (row / 3 * 2) + column] = up.B[row, column];
            for (long row = 0; row < 6; row++)
                for (long column = 0; column < 3; column++) denseDown.A[row, (row / 2 * 3) + column] = down.A[row, column];
        }
        foreach (Tensor input in new[] { Input(type, 5), Input(type, 2, 3) })
        {
            Tensor expected = dense.call(input);
            Adapted.AssertClose(expected, model.call(input));
            using (lora.UsePerSample(Enumerable.Repeat("default", (int)input.shape[0]))) Adapted.AssertClose(expected, model.call(input));
            lora.Merge(new MergeOptions { KeepOriginal = true });
            Adapted.AssertClose(expected, model.call(input));
            lora.Unmerge();
        }
        Assert.Equal(
            plain.Layers.Select(layer => layer.Layer.Adapter.ComputeDelta()).Select(Adapted.Bits),
            lora.Layers.Select(layer => layer.Layer.Adapter.ComputeDelta()).Select(Adapted.Bits));

        lora.Save(_folder.Path);
        using LoraModel<FieldModel> loaded = LoraModel.Load(Model(kind, type), _folder.Path);
        Assert.Empty(loaded.LoadReport);
        Adapted.AssertSame(model.call(Input(type, 5)), loaded.Model.call(Input(type, 5)));
        Assert.Equal(Config.BlockDiagonal, loaded.Config.BlockDiagonal);
    }

    [Fact]
    public void Gradients_are_those_of_finite_differences()
    {
        FieldModel model = Model(LayerKind.Linear, ScalarType.Float64);
        using LoraModel<FieldModel> lora = Adapted.Wrap(model, Config);
        Tensor input = Input(ScalarType.Float64, 2, 3);
        model.call(input).square().sum().backward();
        const double step = 1e-5;
        foreach (Parameter parameter in lora.TrainableParameters())
        {
            using var noGrad = no_grad();
            Tensor flat = parameter.view(-1), gradient = parameter.grad!.reshape(-1);
            for (long i = 0; i < flat.numel(); i++)
            {
                double value = flat[i].item<double>();
                double Loss(double at)
                {
                    flat[i] = at;
                    return model.call(input).square().sum().item<double>();
                }
                double numeric = (Loss(value + step) - Loss(value - step)) / (2 * step);
                flat[i] = value;
                Assert.Equal(numeric, gradient[i].item<double>(), 1e-6 * Math.Max(1, Math.Abs(numeric)));
            }
        }
    }

    [Fact]
    public void A_fresh_one_adds_nothing_and_is_drawn_as_in_PEFT()
    {
        FieldModel model = Model(LayerKind.Linear, ScalarType.Float64);
        Tensor input = Input(ScalarType.Float64, 5), plain = model.call(input);
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, Config);
        Assert.True(Adapted.Difference(plain, model.call(input)) < 1e-15);
        // √(6·3/9) for blocks of 3 inputs, 1/√8 for the whole A.
        double blocks = lora.Layers[1].Layer.Adapter.A.abs().max().item<double>(), whole = lora.Layers[0].Layer.Adapter.A.abs().max().item<double>();
        Assert.InRange(blocks, 0.7, Math.Sqrt(2));
        Assert.InRange(whole, 0.2, 1 / Math.Sqrt(8));
        Assert.Equal("_first  Linear 8→9  r=6 α=5 BD-LoRA (swapped)", lora.Layers[0].ToString());
    }

    [Fact]
    public void Layers_in_neither_list_are_plain_where_that_is_allowed()
    {
        LoraConfig config = Config with { BlockDiagonal = Config.BlockDiagonal! with { DownModules = [], IsStrict = false } };
        using LoraModel<FieldModel> lora = LoraModel.Wrap(Model(LayerKind.Linear, ScalarType.Float32), config);
        Assert.IsType<BlockDiagonalVariant>(lora.Layers[0].Layer.Adapter.Variant);
        Assert.Null(lora.Layers[1].Layer.Adapter.Variant);
        Assert.Equal([6, 9], lora.Layers[1].Layer.Adapter.A.shape);
        Assert.Equal(
            ["'_second' contains no name of target_modules_bd_a or target_modules_bd_b, and match_strict is true (use_bdlora): add one, or set IsStrict to false for plain LoRA there"],
            LoraModel.Explain(Model(LayerKind.Linear, ScalarType.Float32), config with { BlockDiagonal = config.BlockDiagonal! with { IsStrict = true } }).Problems);
    }

    [Fact]
    public void What_does_not_fit_is_all_named()
    {
        FieldModel model = Model(LayerKind.Linear, ScalarType.Float32);
        Assert.Equal(
            [
                "'_first' has the rank 6, which nblocks 4 does not divide (use_bdlora)",
                "'_first' has 9 outputs, which nblocks 4 does not divide (use_bdlora)",
                "'_second' contains 'second' of target_modules_bd_a and '_s' of target_modules_bd_b, but A and B cannot both be block-diagonal (use_bdlora)",
            ],
            LoraModel.Explain(model, Config with { BlockDiagonal = new BlockDiagonalOptions { DownModules = ["second", "third"], UpModules = ["_first", "_s"], Blocks = 4 } }).Problems);
        Assert.Equal(
            ["target_modules_bd_a has 'third', which is part of no adapted layer's path"],
            LoraModel.Explain(model, Config with { BlockDiagonal = Config.BlockDiagonal! with { DownModules = ["second", "third"] } }).Problems);
        Assert.Equal(
            """
            The adapter's configuration cannot be used:
              - use_bdlora goes with the initialisations Kaiming, Gaussian and TorchDefault only, but init_lora_weights "orthogonal" is asked for.
              - use_bdlora: nblocks must be at least 1, but is 0.
              - use_bdlora: 'x' is in target_modules_bd_a and in target_modules_bd_b, but A and B cannot both be block-diagonal.
              - use_bdlora has target_modules_bd_b, which does not go with lora_bias: a block-diagonal B has no bias.
            """,
            Assert.Throws<ArgumentException>((Config with
            {
                UseLoraBias = true,
                Initialization = AdapterInitialization.Orthogonal,
                BlockDiagonal = new BlockDiagonalOptions { DownModules = ["x"], UpModules = ["x"], Blocks = 0 },
            }).Validate).Message.Replace("\n  - UseLoraBias is true, which goes with the initialisations Kaiming and TorchDefault only, but init_lora_weights \"orthogonal\" is asked for.", "", StringComparison.Ordinal));
    }

    [Fact]
    public void It_is_not_combined_preconditioned_or_written_in_other_forms()
    {
        using LoraModel<FieldModel> lora = Adapted.Wrap(Model(LayerKind.Linear, ScalarType.Float32), Config);
        Assert.Contains("'default' has use_bdlora ", Assert.Throws<ArgumentException>(() => lora.Combine("x", [("default", 1)])).Message, StringComparison.Ordinal);
        Assert.Contains("use_bdlora is set, and there is no place for a factor of blocks", Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder["x.safetensors"], AdapterFormat.Kohya("lora_unet"))).Message, StringComparison.Ordinal);
        Assert.NotEmpty(lora.Inspect("default").Layers);
    }

    private static FieldModel Model(LayerKind kind, ScalarType type) => new(kind.Make(8, 9, type, seed: 10), kind.Make(9, 4, type, seed: 20));

    private static Tensor Input(ScalarType type, params long[] places) => Noise.Fill(empty([.. places, 8], type, TestDevice.Current), seed: 40, range: 1.2);
}
