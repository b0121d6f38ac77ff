using Lora.Layers;
using Lora.Tests.Combining;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Defects;

/// <summary>PEFT combines with the scale squared and leaves rsLoRA and biases out. Here the sum is the sum, and PEFT's number is to be asked for.</summary>
public sealed class CombiningDefectTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Defect01_The_scale_counts_once_but_in_PEFT_twice_where_a_decomposition_follows(bool peft)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.Wrap(Blends.Model(), LoraConfig.AllLinear(rank: 2, alpha: 5), LoraConfig.AllLinear(rank: 2, alpha: 3));
        lora.SetScale("a", 1.5);
        // Two adapters, of which one weighs nothing: PEFT takes a single one for linear.
        lora.Combine("blend", [("a", 1), ("b", 0)], new CombineOptions { PeftCompatible = peft, Rank = 2 });
        LoraAdapter a = Blends.Adapter(lora, "_first", "a");
        Assert.Equal(3.75, a.Scale);
        Adapted.AssertClose(a.ComputeDelta().mul(peft ? 3.75 : 1), Blends.Adapter(lora, "_first", "blend").ComputeDelta());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Defect02_A_rank_stabilised_adapter_counts_with_its_scale_but_in_PEFT_the_new_one_is_left_at_the_root_of_its_rank(bool peft)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(Blends.Model());
        lora.Combine("blend", [("b", 0.5), ("c", 2)], new CombineOptions { Method = CombineMethod.Cat, PeftCompatible = peft });
        LoraAdapter blend = Blends.Adapter(lora, "_first", "blend");
        Assert.Equal(peft, lora.ConfigOf("blend").UseRankStabilizedScaling);
        Assert.Equal(peft ? 2 : 1, blend.Scale);
        Tensor sum = Blends.Adapter(lora, "_first", "b").ComputeDelta().mul(0.5).add(Blends.Adapter(lora, "_first", "c").ComputeDelta().mul(2));
        Adapted.AssertClose(sum.mul(blend.Scale), blend.ComputeDelta());
    }

    /// <summary>Of a layer alone the outputs add up, bias and all: y = base(x) + Σ w·(adapted(x) − base(x)).</summary>
    [Theory]
    [InlineData("cat")]
    [InlineData("svd")]
    public void Defect02_The_biases_of_B_are_in_the_sum(string name)
    {
        using var model = new FieldModel(LayerKind.Linear.Make(TestModels.In, TestModels.Middle, ScalarType.Float64, seed: 10), nn.Linear(TestModels.Middle, TestModels.Out, device: TestDevice.Current, dtype: ScalarType.Float64));
        LoraConfig first = LoraConfig.AllLinear(rank: 2, alpha: 5) with { TargetModules = ModuleSelector.EndsWith("_first"), UseLoraBias = true };
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.Wrap(model, first, first with { Rank = 3, UseRankStabilizedScaling = true });
        foreach (LoraAdapter adapter in lora.Layers.Single().Layer.Adapters) Noise.Fill(adapter.Bias!, adapter.Rank, 0.8);
        Tensor input = TestModels.Input(3, ScalarType.Float64);
        Tensor Output(params string[] active)
        {
            using (lora.Use(active)) return model.First.call(input);
        }
        Tensor plain = Output(), expected = plain.add(Output("a").sub(plain).mul(0.75)).sub(Output("b").sub(plain).mul(1.5));
        CombineMethod method = CombineMethod.All.Single(method => method.Name == name);
        lora.Combine("blend", [("a", 0.75), ("b", -1.5)], new CombineOptions { Method = method, Rank = method.ChoosesRank ? 5 : null });
        Assert.True(Adapted.Difference(expected, Output("blend")) < 1e-5, $"The largest difference is {Adapted.Difference(expected, Output("blend")):G4}.");
    }
}
