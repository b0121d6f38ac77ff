using Lora.Injection;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers.OnePass;

/// <summary>Decides for each call of a linear layer whether base and adapter are computed in one pass, and does it.</summary>
internal sealed class OnePassLinear
{
    private readonly LoraLinear _layer;
    private readonly HookCount _hooks;

    private OnePassLinear(LoraLinear layer)
    {
        _layer = layer;
        _hooks = HookCount.OfAll(layer.BaseLayer);
    }

    /// <summary>The way for a layer; null where its base is of a class that may compute something else than W·x + b.</summary>
    internal static OnePassLinear? Over(LoraLinear layer) => layer.BaseLayer is Linear or TransposedLinear ? new OnePassLinear(layer) : null;

    /// <summary>The layer's output, or null where the operators one by one are the right way.</summary>
    internal Tensor? Run(Tensor input)
    {
        if (_layer.Adapters.Mix is not null || _layer.Adapters.Contributing is not [LinearAdapter { Variant: null, Bias: null } adapter] || _hooks.Current != 0) return null;
        Parameter weight = _layer.View.Weight;
        if (!Fits(input, weight, adapter)) return null;

        using var scope = NewDisposeScope();
        (Tensor a, Tensor b) = (adapter.TermA, adapter.TermB);
        Tensor prepared = adapter.Prepared(input);
        var pass = new LinearPass(_layer.BaseLayer, _layer.IsTransposed, adapter.Scale);
        bool recorded = is_grad_enabled() && (input.requires_grad || a.requires_grad || b.requires_grad);
        Tensor output = recorded
            ? LinearFunction.apply(pass, input, ReferenceEquals(prepared, input) ? null! : prepared, weight, a, b)
            : pass.Compute(input, prepared, a, b);
        return output.MoveToOuterDisposeScope();
    }

    // What differs in type is added in the wider one; where the base trains, it needs gradients that the pass does not give.
    private bool Fits(Tensor input, Parameter weight, LinearAdapter adapter)
    {
        ScalarType type = weight.dtype;
        return input.dim() > 1 && input.dtype == type && adapter.A.dtype == type && adapter.B.dtype == type
            && (type is ScalarType.Float32 or ScalarType.Float64 || weight.device_type == DeviceType.CUDA)
            && !weight.requires_grad && !(_layer.View.Bias?.requires_grad ?? false);
    }
}
