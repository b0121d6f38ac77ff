using Lora.Layers;
using Lora.Serialization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>A layer that PEFT has stored with its input, its output and its gradients, computed again by ours: how far the two are from each other.</summary>
internal static class StoredLayer
{
    /// <param name="path">A safetensors file of <c>peft_peer.py</c>'s task <c>store</c>.</param>
    /// <param name="placement">Where to compute, and in what type.</param>
    /// <returns>The worst difference of the output and of each gradient, relative to its greatest number; NaN where a number is.</returns>
    public static double Worst(string path, Placement placement)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile file = SafetensorsFile.Open(path);
        Tensor weight = Read("weight"), a = Read("a"), b = Read("b"), input = Read("input").requires_grad_();
        var layer = new LoraLinear(nn.Linear(weight.shape[1], weight.shape[0], hasBias: false, placement.Device, placement.Type), (int)a.shape[0], 2 * a.shape[0]);
        using (no_grad())
        {
            ((Linear)layer.BaseLayer).weight!.copy_(weight);
            layer.Adapter.A.copy_(a);
            layer.Adapter.B.copy_(b);
        }
        Tensor output = layer.call(input);
        output.backward([Read("gradient")]);
        double[] differences =
        [
            Difference("output", output), Difference("input_gradient", input.grad!),
            Difference("a_gradient", layer.Adapter.A.grad!), Difference("b_gradient", layer.Adapter.B.grad!),
        ];
        return differences.Aggregate(Math.Max); // unlike Max, NaN where one is NaN

        Tensor Read(string name) => file.ReadTensor(name, placement.Device);

        double Difference(string name, Tensor mine)
        {
            Tensor theirs = Read(name).to(ScalarType.Float64);
            if (!theirs.shape.SequenceEqual(mine.shape)) throw new InvalidOperationException($"{name} is [{string.Join(", ", theirs.shape)}] in {path}, and [{string.Join(", ", mine.shape)}] of ours.");
            return ((mine.to(ScalarType.Float64) - theirs).abs().max() / theirs.abs().max()).ToDouble();
        }
    }
}
