using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Models;

/// <summary>An <see cref="AttentionModel"/> with its adapters said again in plain operators: softmax(q·kᵀ/√d + mask)·v with W + Σ s·B·A in the place of each W.</summary>
internal static class NaiveAttention
{
    public static Tensor Forward<TModel>(LoraModel<TModel> lora, Tensor input, Tensor? mask = null, Tensor? padding = null)
        where TModel : nn.Module
    {
        Tensor first = Attend(lora.Layers[0].Layer, input, input, input, mask, padding);
        return Attend(lora.Layers[1].Layer, first.tanh(), input, input, mask, padding);
    }

    public static Tensor Attend(ILoraLayer layer, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor? padding)
    {
        Dictionary<string, Parameter> parameters = layer.BaseLayer.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        Tensor[] input = Weight(layer, parameters["in_proj_weight"], "in_proj").chunk(3), bias = parameters.TryGetValue("in_proj_bias", out Parameter? given) ? given.chunk(3) : [null!, null!, null!];
        Tensor q = Heads(nn.functional.linear(query, input[0], bias[0])), k = Heads(nn.functional.linear(key, input[1], bias[1])), v = Heads(nn.functional.linear(value, input[2], bias[2]));
        Tensor scores = q.matmul(k.transpose(-2, -1)).div(Math.Sqrt(AttentionModel.Width / AttentionModel.Heads));
        if (mask is not null) scores = scores.add(mask);
        if (padding is not null) scores = scores.masked_fill(padding.unsqueeze(1).unsqueeze(1), double.NegativeInfinity);
        Tensor mixed = nn.functional.softmax(scores, -1).matmul(v).permute(2, 0, 1, 3).flatten(2);
        return nn.functional.linear(mixed, Weight(layer, parameters["out_proj.weight"], "out_proj"), parameters.GetValueOrDefault("out_proj.bias"));
    }

    private static Tensor Weight(ILoraLayer layer, Tensor weight, string part)
    {
        foreach (CompositeAdapter adapter in layer.Adapters.Active.Cast<CompositeAdapter>())
            if (adapter.Part(part) is LoraAdapter pair) weight = weight.add(pair.B.matmul(pair.A).mul(pair.Scale));
        return weight;
    }

    // [length, batch, width] to [batch, heads, length, size]
    private static Tensor Heads(Tensor tensor) => tensor.view(tensor.shape[0], tensor.shape[1], AttentionModel.Heads, -1).permute(1, 2, 0, 3);
}
