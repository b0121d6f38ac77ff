using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>Models with adapters that can be combined: one layer stores its weight as [out, in], the other as [in, out].</summary>
internal static class Blends
{
    public static nn.Module<Tensor, Tensor> Model(ScalarType type = ScalarType.Float32) =>
        new FieldModel(LayerKind.Linear.Make(TestModels.In, TestModels.Middle, type, seed: 10), LayerKind.Transposed.Make(TestModels.Middle, TestModels.Out, type, seed: 20));

    /// <summary>Wraps a model with adapters called a, b, c, … of the given configurations, all filled.</summary>
    public static LoraModel<nn.Module<Tensor, Tensor>> Wrap(nn.Module<Tensor, Tensor> model, params LoraConfig[] configs)
    {
        LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, configs[0], new WrapOptions { AdapterName = "a" });
        for (int i = 1; i < configs.Length; i++) lora.AddAdapter(((char)('a' + i)).ToString(), configs[i]);
        int seed = 70;
        foreach (LoraAdapter adapter in lora.AdapterNames.SelectMany(name => lora.Layers.SelectMany(layer => layer.Layer.Adapters.Where(a => a.AdapterName == name))))
        {
            Noise.Fill(adapter.A, seed++, 0.5);
            Noise.Fill(adapter.B, seed++, 0.5);
        }
        return lora;
    }

    /// <summary>Three adapters of rank 2 whose scales differ, one of them rank-stabilised.</summary>
    public static LoraModel<nn.Module<Tensor, Tensor>> OfOneRank(nn.Module<Tensor, Tensor> model) => Wrap(
        model, LoraConfig.AllLinear(rank: 2, alpha: 5), LoraConfig.AllLinear(rank: 2, alpha: 3) with { UseRankStabilizedScaling = true }, LoraConfig.AllLinear(rank: 2, alpha: 1));

    /// <summary>Three adapters of ranks 2, 3 and 1, the last on the second layer only.</summary>
    public static LoraModel<nn.Module<Tensor, Tensor>> OfSeveralRanks(nn.Module<Tensor, Tensor> model) => Wrap(
        model, LoraConfig.AllLinear(rank: 2, alpha: 5), LoraConfig.AllLinear(rank: 3, alpha: 4), LoraConfig.AllLinear(rank: 1, alpha: 2) with { TargetModules = ModuleSelector.EndsWith("_second") });

    public static LoraAdapter Adapter(LoraModel<nn.Module<Tensor, Tensor>> lora, string path, string name) => lora.Layers.Single(layer => layer.Path == path).Layer.Adapters[name];

    /// <summary>A matrix as numbers, row by row.</summary>
    public static double[] Numbers(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.detach().to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
    }
}
