using System.Text.Json;
using Lora.Layers;
using Lora.Serialization;
using Lora.Variants;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>The models of golden cases in float64 with the updates of an adapter in their weights, written out beside the library's own merging.</summary>
internal static class SummedWeights
{
    internal static SpecModel Build(GoldenCase golden)
    {
        JsonElement spec = golden.Json.GetProperty("base");
        var model = new SpecModel(spec, golden.PathOf(spec.GetProperty("weights").GetString()!), ScalarType.Float64);
        model.eval();
        return model;
    }

    /// <summary>Copies A and B from a file of the case as they are there.</summary>
    internal static void CopyTensors(GoldenCase golden, LoraModel<SpecModel> lora, string folder = "adapter")
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(golden.PathOf(folder), AdapterFolder.WeightsName));
        foreach (AdapterLayer layer in lora.Layers)
            foreach ((string name, Parameter parameter) in layer.Layer.Adapter.FileTensors) file.CopyTo(AdapterFit.KeyOf(layer.Path, name), parameter);
    }

    /// <summary>
    /// W[o, c, k] + s · Σ B[o, ρ] · A[ρ, c, k], written out over the groups. A convolution with groups loses them, since A reaches over them. The update of an
    /// attention's output projection counts <paramref name="outputs"/> times.
    /// </summary>
    internal static void AddTo(SpecModel model, AdapterLayer layer, int outputs = 1)
    {
        LoraAdapter adapter = layer.Layer.Adapter;
        nn.Module module = model.named_modules().Single(m => m.name == layer.Path).module;
        Parameter? bias = module.named_parameters().FirstOrDefault(p => p.name == "bias").parameter;
        if (adapter.Bias is not null && bias is not null) bias.add_(adapter.Bias.mul(adapter.Scale));
        if (adapter.Bias is not null && bias is null)
            ((Linear)module).bias = new Parameter(adapter.Bias.mul(adapter.Scale), requires_grad: false);
        if (module is MultiheadAttention)
        {
            foreach ((string name, int times) in new[] { ("in_proj", 1), ("out_proj", outputs) })
            {
                LoraAdapter pair = ((CompositeAdapter)adapter).Part(name)!;
                module.named_parameters().Single(p => p.name is "in_proj_weight" or "out_proj.weight" && p.name.StartsWith(name, StringComparison.Ordinal)).parameter
                    .add_(pair.B.matmul(pair.A).mul(times * pair.Scale));
            }
            return;
        }
        if (module is not Convolution convolution)
        {
            module.get_parameter("weight")!.add_(adapter.B.matmul(adapter.A).mul(adapter.Scale));
            Normalize(module.get_parameter("weight")!, adapter);
            return;
        }
        long groups = convolution.groups, output = convolution.out_channels / groups, input = convolution.in_channels / groups, narrow = adapter.Rank / groups;
        Tensor whole = zeros([convolution.out_channels, .. adapter.A.shape[1..]], ScalarType.Float64, TestDevice.Current);
        for (long o = 0; o < convolution.out_channels; o++)
        {
            long group = o / output;
            whole[o].narrow(0, group * input, input).copy_(convolution.weight[o]);
            for (long p = 0; p < narrow; p++) whole[o].add_(adapter.A[(group * narrow) + p].mul(adapter.B[o, p].flatten()[0]).mul(adapter.Scale));
        }
        Normalize(whole, adapter);
        convolution.weight = new Parameter(whole, requires_grad: false);
        convolution.groups = 1;
    }

    // With DoRA each output's row has the magnitude as its norm.
    private static void Normalize(Tensor weight, LoraAdapter adapter)
    {
        if (adapter.Variant is not DoraVariant dora) return;
        for (long o = 0; o < weight.shape[0]; o++) weight[o].mul_(dora.Magnitude.flatten()[o].div(weight[o].square().sum().sqrt()));
    }

    internal static void AssertClose(Tensor expected, Tensor actual)
    {
        double difference = Models.Adapted.Difference(expected, actual);
        Assert.True(difference < 1e-12, $"The largest difference is {difference:G4}.");
    }
}
