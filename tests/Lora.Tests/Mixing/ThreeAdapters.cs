using Lora.Layers;
using Lora.Tests.Models;
using static TorchSharp.torch;

namespace Lora.Tests.Mixing;

/// <summary>A model with the adapters <c>default</c> (rank 2), <c>wide</c> (rank 3, another scale) and <c>late</c> (rank 4, the last layer only), none of them zero.</summary>
internal static class ThreeAdapters
{
    public static LoraModel<TModel> Wrap<TModel>(TModel model, WrapOptions? options = null, double dropout = 0)
        where TModel : nn.Module
    {
        LoraModel<TModel> lora = LoraModel.Wrap(model, Adapted.Config with { Dropout = dropout }, options);
        lora.AddAdapter("wide", LoraConfig.AllLinear(rank: 3, alpha: 7) with { Dropout = dropout });
        lora.AddAdapter("late", LoraConfig.AllLinear(rank: 4, alpha: 6) with { TargetModules = ModuleSelector.EndsWith(lora.Layers[^1].Path), Dropout = dropout });
        Fill(lora);
        return lora;
    }

    public static void Fill<TModel>(LoraModel<TModel> lora)
        where TModel : nn.Module
    {
        int seed = 70;
        foreach (LoraAdapter adapter in lora.AdapterNames.SelectMany(name => lora.Layers.SelectMany(layer => layer.Layer.Adapters.Where(a => a.AdapterName == name))))
        {
            Noise.Fill(adapter.A, seed++, 0.5);
            Noise.Fill(adapter.B, seed++, 0.5);
        }
    }

    /// <summary>What the model computes with one adapter, or with none, for the whole batch.</summary>
    public static Tensor Alone<TModel>(LoraModel<TModel> lora, string name, Tensor input)
        where TModel : nn.Module<Tensor, Tensor>
    {
        using IDisposable scope = name == LoraModel.BaseAdapter ? lora.Use() : lora.Use(name);
        return lora.Model.call(input);
    }

    /// <summary>Row by row what the model computes with that row's adapter alone.</summary>
    public static Tensor RowByRow<TModel>(LoraModel<TModel> lora, string[] names, Tensor input)
        where TModel : nn.Module<Tensor, Tensor> =>
        cat([.. names.Select((name, row) => Alone(lora, name, input).narrow(0, row, 1))], 0);

    /// <summary>Names in an order: <c>d</c>, <c>w</c> and <c>l</c> for the adapters, <c>-</c> for none.</summary>
    public static string[] Names(string pattern) => [.. pattern.Select(letter => letter switch
    {
        'd' => "default",
        'w' => "wide",
        'l' => "late",
        _ => LoraModel.BaseAdapter,
    })];
}
