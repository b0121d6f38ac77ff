using Lora.Injection;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers.OnePass;

/// <summary>Decides for each call of a linear layer whether base and adapter are computed in one pass, and does it.</summary>
internal sealed class OnePassLinear
{
    // A node of our own costs some 10 µs more than those of the operators, as much as passing over so many numbers of a small layer; see benchmarks/Results/speed.md.
    private const long NumbersWorthANode = 48 << 10;

    private readonly LoraLinear _layer;
    private readonly HookCount _hooks;

    private OnePassLinear(LoraLinear layer)
    {
        _layer = layer;
        _hooks = HookCount.OfAll(layer.BaseLayer);
    }

    /// <summary>The way for a layer; null where its base is of a class that may compute something else than W·x + b.</summary>
    internal static OnePassLinear? Over(LoraLinear layer) => layer.BaseLayer is Linear or TransposedLinear ? new OnePassLinear(layer) : null;

    /// <summary>From how many numbers of input and output on a pass with gradients is made on a CPU; below, the operators one by one are faster.</summary>
    internal long LeastNumbers { get; set; } = NumbersWorthANode;

    /// <summary>The layer's output, or null where the operators one by one are the right way.</summary>
    internal Tensor? Run(Tensor input)
    {
        if (_layer.Adapters.Mix is not null || _layer.Adapters.Contributing is not [LinearAdapter { Variant: null, Bias: null } adapter] || _hooks.Current != 0) return null;
        Parameter weight = _layer.View.Weight;
        if (!Fits(input, weight, adapter)) return null;
        bool isRecorded = is_grad_enabled() && (input.requires_grad || adapter.A.requires_grad || adapter.B.requires_grad);
        if (isRecorded && IsSmall(input)) return null;

        using var scope = NewDisposeScope();
        (Tensor a, Tensor b) = (adapter.TermA, adapter.TermB);
        Tensor prepared = adapter.Prepared(input);
        var pass = new LinearPass(_layer.BaseLayer, _layer.IsTransposed, adapter.Scale);
        Tensor output = isRecorded
            ? LinearFunction.apply(pass, input, ReferenceEquals(prepared, input) ? null! : prepared, weight, a, b)
            : pass.Compute(input, prepared, a, b);
        return output.MoveToOuterDisposeScope();
    }

    private bool IsSmall(Tensor input) =>
        input.device_type == DeviceType.CPU && input.NumberOfElements / _layer.InFeatures * (_layer.InFeatures + _layer.OutFeatures) < LeastNumbers;

    // What differs in type is added in the wider one; where the base trains, it needs gradients that the pass does not give.
    private bool Fits(Tensor input, Parameter weight, LinearAdapter adapter)
    {
        ScalarType type = weight.dtype;
        return input.dim() > 1 && input.dtype == type && adapter.A.dtype == type && adapter.B.dtype == type
            && (type is ScalarType.Float32 or ScalarType.Float64 || weight.device_type == DeviceType.CUDA)
            && !weight.requires_grad && !(_layer.View.Bias?.requires_grad ?? false);
    }
}
