using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// The starts that are taken off a layer's base weight at the moment, so that their adapters compute with A and B alone, and what the weight is without that. It comes back bit for bit.
/// </summary>
internal sealed class WrittenStarts
{
    private (LinearAdapter Adapter, double Scale)[] _written = [];

    /// <summary>The weight as it is when no start is taken off it; null where none is.</summary>
    internal Tensor? Original { get; private set; }

    /// <summary>Takes off the starts of these adapters, and puts all others back.</summary>
    internal void Set(LoraLinear layer, IEnumerable<LinearAdapter> adapters)
    {
        (LinearAdapter Adapter, double Scale)[] wanted = [.. adapters.Select(adapter => (adapter, adapter.Scale))];
        if (wanted.SequenceEqual(_written)) return;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Parameter weight = layer.View.Weight;
        if (Original is null) Original = weight.detach().clone().DetachFromDisposeScope();
        else weight.copy_(Original);
        foreach ((LinearAdapter adapter, _) in _written) adapter.IsStartInBase = false;
        foreach ((LinearAdapter adapter, _) in wanted)
        {
            adapter.StartChange(weight, layer.IsTransposed).Add(1);
            adapter.IsStartInBase = true;
        }
        _written = wanted;
        if (wanted.Length == 0) Forget();
    }

    /// <summary>Forgets the kept weight.</summary>
    internal void Forget()
    {
        Original?.Dispose();
        Original = null;
    }
}
