using Lora.Layers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks;

/// <summary>A frozen linear layer without bias, the same with LoRA and with DoRA, forward and backward: the task of the peers' <c>dora</c>, float32.</summary>
internal sealed class DoraLinear : IDisposable
{
    private readonly Linear _base;
    private readonly LoraLinear _lora, _dora;
    private readonly Tensor _input, _gradient;

    public DoraLinear(int rows, int inFeatures, int outFeatures, int rank)
    {
        manual_seed(0);
        _base = nn.Linear(inFeatures, outFeatures, hasBias: false);
        foreach (Parameter parameter in _base.parameters()) parameter.requires_grad = false;
        _lora = new LoraLinear(nn.Linear(inFeatures, outFeatures, hasBias: false), rank, 2 * rank);
        _dora = new LoraLinear(nn.Linear(inFeatures, outFeatures, hasBias: false), rank, 2 * rank, useDora: true);
        using (no_grad())
        {
            foreach (LoraLinear layer in new[] { _lora, _dora }) nn.init.normal_(layer.Adapter.B, 0, 0.02);
        }
        _input = randn(rows, inFeatures, requires_grad: true); // what a layer inside a network gets
        _gradient = randn(rows, outFeatures);
    }

    public void Base() => Run(_base);

    public void Lora() => Run(_lora);

    public void Dora() => Run(_dora);

    public void Dispose()
    {
        foreach (IDisposable used in new IDisposable[] { _base, _lora, _dora, _input, _gradient }) used.Dispose();
    }

    private void Run(nn.Module<Tensor, Tensor> layer)
    {
        using DisposeScope scope = NewDisposeScope();
        layer.call(_input).backward([_gradient]);
        layer.zero_grad();
        _input.grad = null;
    }
}
