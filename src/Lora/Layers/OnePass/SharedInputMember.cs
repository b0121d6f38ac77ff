using System.Runtime.CompilerServices;
using Lora.Injection;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers.OnePass;

/// <summary>One of several linear layers that read the same input, with the one adapter that contributes to it, if any.</summary>
/// <param name="Layer">The base layer, whose parameters do not train.</param>
/// <param name="View">How to reach its weight.</param>
/// <param name="Owner">The layer with adapters that it is the base of; null where it has none.</param>
/// <param name="Adapter">The adapter; null where the base alone is computed.</param>
internal sealed record SharedInputMember(nn.Module<Tensor, Tensor> Layer, LinearView View, LoraLinear? Owner, LinearAdapter? Adapter)
{
    // Reading a module's lists of hooks takes reflection.
    private static readonly ConditionalWeakTable<nn.Module, Known> s_known = [];

    /// <summary>A layer as a member; null where it has to be called by itself.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="input">What it is to be called with.</param>
    internal static SharedInputMember? Of(nn.Module<Tensor, Tensor> layer, Tensor input)
    {
        Known known = s_known.GetValue(layer, Known.Of);
        if (known.Hooks.Current != 0) return null;
        if (layer is LoraLinear adapted) return adapted.OnePass?.AsMember(input);
        return known.View is LinearView view && OnePassLinear.Fits(view, input) ? new SharedInputMember(layer, view, null, null) : null;
    }

    private sealed record Known(HookCount Hooks, LinearView? View)
    {
        internal static Known Of(nn.Module layer) => new(HookCount.OfAll(layer), LinearView.Of(layer));
    }
}
