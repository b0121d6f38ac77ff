using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>Whatever the kind of layer, an exact combination computes what its sources compute together.</summary>
public sealed class LayerKindTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<LayerKind> Kinds => [.. Enum.GetValues<LayerKind>()];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_terms_add_up(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind);
        bool bias = !kind.IsFused() && !kind.IsEmbedding();
        LoraConfig config = kind.Config(model, bias ? Variant.LoraBias : Variant.Plain);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config, kind.Options(model));
        lora.AddAdapter("other", config with { Rank = 4, Alpha = 3, UseRankStabilizedScaling = true });
        int seed = 90;
        foreach (LoraAdapter adapter in lora.Layers.SelectMany(layer => layer.Layer.Adapters))
            foreach (Parameter parameter in adapter.FileTensors.Select(tensor => tensor.Value)) Noise.Fill(parameter, seed++, 0.5);
        Tensor input = kind.Input(3, ScalarType.Float32);
        lora.SetActive("default", "other");
        lora.SetScale("other", -0.5);
        Tensor both = model.call(input);
        foreach (CombineMethod method in new[] { CombineMethod.Cat, CombineMethod.Svd, CombineMethod.TiesSvd })
        {
            lora.Combine("blend", [("default", 1), ("other", 1)], new CombineOptions { Method = method, Rank = method.ChoosesRank ? 40 : null, Density = method.Blend.Prunes ? 0.7 : null });
            lora.SetActive("blend");
            double difference = Adapted.Difference(both, model.call(input));
            // Signs that are elected change something: there it is enough that the shapes fit.
            if (method != CombineMethod.TiesSvd) Assert.True(difference < 2e-5, $"{method} differs by {difference:G4}.");
            lora.SetActive("default", "other");
            lora.DeleteAdapter("blend");
        }
    }
}
