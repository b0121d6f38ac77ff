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
        if (!HasPlainAdapters || _layer.Adapters.Contributing is not [LinearAdapter adapter] || !Fits(input, adapter)) return null;
        bool isRecorded = is_grad_enabled() && (input.requires_grad || adapter.A.requires_grad || adapter.B.requires_grad);
        if (isRecorded && IsSmall(input)) return null;

        using var scope = NewDisposeScope();
        (Tensor a, Tensor b) = (adapter.TermA, adapter.TermB);
        Tensor prepared = adapter.Prepared(input);
        var pass = new LinearPass(_layer.BaseLayer, _layer.IsTransposed, adapter.Scale);
        Tensor output = isRecorded
            ? LinearFunction.apply(pass, input, ReferenceEquals(prepared, input) ? null! : prepared, _layer.View.Weight, a, b)
            : pass.Compute(input, prepared, a, b);
        return output.MoveToOuterDisposeScope();
    }

    /// <summary>The layer as one of several that are computed together on one input; null where that is not the right way.</summary>
    /// <param name="input">The input.</param>
    internal SharedInputMember? AsMember(Tensor input)
    {
        if (!HasPlainAdapters) return null;
        return _layer.Adapters.Contributing switch
        {
            [] when Fits(_layer.View, input) => new SharedInputMember(_layer.BaseLayer, _layer.View, _layer, null),
            // What each of them drops is its own, so that nothing is left to share.
            [LinearAdapter adapter] when Fits(input, adapter) && !adapter.DropsInput => new SharedInputMember(_layer.BaseLayer, _layer.View, _layer, adapter),
            _ => null,
        };
    }

    /// <summary>Whether a call is large enough for a node of its own, as far as this layer's share of it goes.</summary>
    internal bool IsSmall(Tensor input) =>
        input.device_type == DeviceType.CPU && input.NumberOfElements / _layer.InFeatures * (_layer.InFeatures + _layer.OutFeatures) < LeastNumbers;

    /// <summary>Whether a linear layer's own product is one that a pass may take: frozen, and of the input's type.</summary>
    internal static bool Fits(LinearView layer, Tensor input)
    {
        Parameter weight = layer.Weight;
        // What differs in type is added in the wider one; where the base trains, it needs gradients that the pass does not give.
        return input.dim() > 1 && input.dtype == weight.dtype && (input.dtype is ScalarType.Float32 or ScalarType.Float64 || weight.device_type == DeviceType.CUDA)
            && !weight.requires_grad && !(layer.Bias?.requires_grad ?? false);
    }

    private bool HasPlainAdapters => _layer.Adapters.Mix is null && _hooks.Current == 0;

    private bool Fits(Tensor input, LinearAdapter adapter) =>
        adapter is { Variant: null, Bias: null } && adapter.A.dtype == input.dtype && adapter.B.dtype == input.dtype && Fits(_layer.View, input);
}
