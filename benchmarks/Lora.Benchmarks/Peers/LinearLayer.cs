using Lora.Layers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>
/// A frozen linear layer without bias, the same with LoRA, and the same by one operator after the other, forward and backward: the task of the peers' <c>layer</c>.
/// </summary>
internal sealed class LinearLayer
{
    private readonly Linear _base;
    private readonly LoraLinear _lora, _narrow, _operators;
    private readonly Tensor _input, _gradient;

    public LinearLayer(int rows, int inFeatures, int outFeatures, int rank, Placement placement)
    {
        manual_seed(0);
        _base = Frozen();
        foreach (Parameter parameter in _base.parameters()) parameter.requires_grad = false;
        _lora = new LoraLinear(Frozen(), rank, 2 * rank);
        _narrow = new LoraLinear(Frozen(), rank, 2 * rank);
        _narrow.to(placement.Type);
        _operators = new LoraLinear(Frozen(), rank, 2 * rank);
        // A hook is to see the base layer's own output, so that base and adapter cannot be computed in one pass.
        _operators.BaseLayer.register_forward_hook((_, _, output) => output);
        using (no_grad())
        {
            foreach (LoraLinear layer in new[] { _lora, _narrow, _operators }) nn.init.normal_(layer.Adapter.B, 0, 0.02);
        }
        _input = randn(rows, inFeatures, placement.Type, placement.Device, requires_grad: true); // what a layer inside a network gets
        _gradient = randn(rows, outFeatures, placement.Type, placement.Device);

        Linear Frozen() => nn.Linear(inFeatures, outFeatures, hasBias: false, placement.Device, placement.Type);
    }

    public void Base() => Run(_base);

    public void Lora() => Run(_lora);

    /// <summary>With an adapter of the base's type, however narrow.</summary>
    public void Narrow() => Run(_narrow);

    public void Operators() => Run(_operators);

    private void Run(nn.Module<Tensor, Tensor> layer)
    {
        using DisposeScope scope = NewDisposeScope();
        layer.call(_input).backward([_gradient]);
        layer.zero_grad();
        _input.grad = null;
    }
}
