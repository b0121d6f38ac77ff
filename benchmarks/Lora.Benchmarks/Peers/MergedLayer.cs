using Lora.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>Merging an adapter into a linear layer and taking it out again: the task of the peers' <c>merge</c>, float32.</summary>
internal sealed class MergedLayer
{
    private readonly LoraLinear _layer;

    public MergedLayer(int outFeatures, int inFeatures, int rank)
    {
        manual_seed(0);
        _layer = new LoraLinear(nn.Linear(inFeatures, outFeatures, hasBias: false), rank, 2 * rank);
        using var noGrad = no_grad();
        nn.init.normal_(_layer.Adapter.B, 0, 0.02);
    }

    public void Run()
    {
        using DisposeScope scope = NewDisposeScope();
        _layer.Adapters.Merge();
        _layer.Adapters.Unmerge();
    }
}
