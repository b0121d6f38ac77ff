using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Defects;

/// <summary>What merging adds, in which order, and how it is rounded.</summary>
public sealed class MergingDefectTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>PEFT forgets the scale with a quantised base.</summary>
    [Fact]
    public void Defect08_The_bias_is_scaled_and_merged_into_the_base_layers()
    {
        var layer = (Linear)LayerKind.Linear.Make(7, 5, ScalarType.Float64);
        Tensor input = TestModels.Input(3, ScalarType.Float64), plain = layer.call(input), before = layer.bias!.detach().clone();
        using var lora = new LoraLinear(layer, rank: 2, alpha: 6, hasBias: true);
        Assert.Equal(["lora_A.weight", "lora_B.weight", "lora_B.bias"], lora.Adapter.FileTensors.Select(tensor => tensor.Key));
        Adapted.AssertSame(plain, lora.call(input));
        Noise.Fill(lora.Adapter.Bias!, 3, 0.5);
        Adapted.AssertRelativelyClose(plain.add(lora.Adapter.Bias!.mul(3)), lora.call(input));
        lora.Adapters.Merge();
        Adapted.AssertRelativelyClose(before.add(lora.Adapter.Bias!.mul(3)), layer.bias!);
        lora.Adapters.Unmerge();
        Adapted.AssertRelativelyClose(before, layer.bias!);
    }

    [Fact]
    public void Defect14_Adapters_are_merged_in_the_order_of_their_terms()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        lora.AddAdapter("more", Adapted.Config);
        lora.SetActive("more", "default");
        lora.Merge();
        Assert.Equal(["more", "default"], lora.MergedAdapters);
        lora.Unmerge();
        lora.Merge(new MergeOptions { Adapters = ["default", "more"] });
        Assert.Equal(["default", "more"], lora.MergedAdapters);
    }

    [Fact]
    public void Defect14_A_half_precision_weight_moves_by_what_float32_adapters_say_and_is_rounded_once()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, type: ScalarType.BFloat16);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        Assert.All(lora.TrainableParameters(), parameter => Assert.Equal(ScalarType.Float32, parameter.dtype));
        Assert.Equal(ScalarType.BFloat16, model.call(TestModels.Input(2, ScalarType.BFloat16)).dtype);
        Tensor before = ((Linear)lora.Layers[0].Layer.BaseLayer).weight!.detach().clone();
        Tensor expected = before.to(ScalarType.Float32).add(lora.Layers[0].Layer.Adapter.ComputeDelta()).to(ScalarType.BFloat16);
        lora.Merge();
        Adapted.AssertSame(expected, ((Linear)lora.Layers[0].Layer.BaseLayer).weight!.detach());
    }
}
