using Lora.Layers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>Layers with adapters of rank 8 that read one input, forward and backward: called together, and one after the other.</summary>
internal sealed class SharedProjections
{
    private const int Rank = 8;

    private readonly nn.Module<Tensor, Tensor>[] _layers;
    private readonly Tensor _input;
    private readonly Tensor[] _gradients;

    /// <param name="rows">The rows of the input.</param>
    /// <param name="width">Its width.</param>
    /// <param name="widths">The width of each layer's output.</param>
    public SharedProjections(long rows, long width, params long[] widths)
    {
        manual_seed(0);
        _layers = [.. widths.Select(outer => new LoraLinear(nn.Linear(width, outer, hasBias: false), Rank, 2 * Rank))];
        using (no_grad())
        {
            foreach (LoraLinear layer in _layers.OfType<LoraLinear>()) nn.init.normal_(layer.Adapter.B, 0, 0.02);
        }
        _input = randn(rows, width, requires_grad: true); // what a layer inside a network gets
        _gradients = [.. widths.Select(outer => randn(rows, outer))];
    }

    public void Together() => Run(input => SharedInput.Call(input, _layers));

    public void OneByOne() => Run(input => [.. _layers.Select(layer => layer.call(input))]);

    private void Run(Func<Tensor, Tensor[]> call)
    {
        using DisposeScope scope = NewDisposeScope();
        autograd.backward(call(_input), _gradients);
        foreach (nn.Module<Tensor, Tensor> layer in _layers) layer.zero_grad();
        _input.grad = null;
    }
}
