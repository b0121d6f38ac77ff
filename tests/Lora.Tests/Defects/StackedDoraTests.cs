using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Defects;

/// <summary>Defect 9 of PEFT: with several active adapters DoRA rescales what earlier ones added, so that the output depends on their order.</summary>
public sealed class StackedDoraTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static IEnumerable<TheoryDataRow<LayerKind, double>> Cases =>
        from kind in Enum.GetValues<LayerKind>()
        where kind.HasDora()
        from dropout in new[] { 0, 1.0 }
        select new TheoryDataRow<LayerKind, double>(kind, dropout);

    public void Dispose() => _scope.Dispose();

    // With everything dropped no adapter but that of an embedding, which drops nothing, changes anything.
    [Theory]
    [MemberData(nameof(Cases))]
    public void Defect09_each_adapter_adds_what_it_adds_alone_in_any_order(LayerKind kind, double dropout)
    {
        nn.Module<Tensor, Tensor> layer = kind.Make(TestModels.In, TestModels.Middle, ScalarType.Float64);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(new NoFieldModel(layer, LayerKind.Linear.Make(3, 3)), kind, dropout);
        string[] names = ["dora", "plain", "more"];
        Tensor input = kind.Input(3, ScalarType.Float64), plain, sum;
        using (lora.Disable()) plain = sum = layer.call(input);
        foreach (string name in names)
            using (lora.Use(name)) sum = sum + layer.call(input) - plain;
        foreach (string[] order in new[] { [0, 1, 2], new[] { 2, 1, 0 }, [1, 0, 2], [1, 2, 0] }.Select(places => places.Select(place => names[place]).ToArray()))
        {
            using (lora.Use(order)) Assert.InRange(Adapted.Difference(sum, layer.call(input)), 0, 1e-13);
        }
        Assert.Equal(dropout == 0 || kind.IsEmbedding(), Adapted.Difference(plain, sum) > 0.01);
    }

    private static LoraModel<nn.Module<Tensor, Tensor>> Wrap(nn.Module<Tensor, Tensor> model, LayerKind kind, double dropout)
    {
        string first = model.named_children().First().name;
        LoraConfig config = Adapted.Config with { TargetModules = ModuleSelector.EndsWith(first), Dropout = dropout };
        LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config, new WrapOptions { AdapterName = "plain" });
        lora.AddAdapter("dora", config with { UseDora = true });
        lora.AddAdapter("more", config with { Rank = 4, UseDora = true });
        int seed = 30;
        foreach (LoraAdapter adapter in lora.Layers.SelectMany(layer => layer.Layer.Adapters))
            foreach ((_, Parameter parameter) in adapter.FileTensors) Noise.Fill(parameter, seed++, 0.6);
        return lora;
    }
}
