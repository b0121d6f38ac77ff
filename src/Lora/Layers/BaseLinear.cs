using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>One view of the two kinds of linear layer: <see cref="Linear"/> with <c>[out, in]</c>, <see cref="TransposedLinear"/> with <c>[in, out]</c>.</summary>
internal readonly struct BaseLinear
{
    private readonly nn.Module<Tensor, Tensor> _module;

    private BaseLinear(nn.Module<Tensor, Tensor> module) => _module = module;

    internal static bool Supports(nn.Module module) => module is Linear or TransposedLinear;

    /// <exception cref="ArgumentException">The module is no linear layer.</exception>
    internal static BaseLinear Of(nn.Module module) => Supports(module)
        ? new BaseLinear((nn.Module<Tensor, Tensor>)module)
        : throw new ArgumentException(
            $"A {module.GetType().Name} cannot be adapted: LoRA needs a {nameof(Linear)} or a {nameof(TransposedLinear)} here.", nameof(module));

    internal nn.Module<Tensor, Tensor> Module => _module;

    internal bool IsTransposed => _module is TransposedLinear;

    internal Parameter Weight => _module is TransposedLinear transposed ? transposed.Weight : ((Linear)_module).weight;

    internal Parameter? Bias => _module is TransposedLinear transposed ? transposed.Bias : ((Linear)_module).bias;

    internal long InFeatures => _module is TransposedLinear transposed ? transposed.InFeatures : ((Linear)_module).in_features;

    internal long OutFeatures => _module is TransposedLinear transposed ? transposed.OutFeatures : ((Linear)_module).out_features;
}
