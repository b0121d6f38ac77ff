using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>Changes base weights in place until it is disposed, which restores them bit for bit.</summary>
internal sealed class TemporaryWeights : IDisposable
{
    private readonly List<(Parameter Weight, Tensor Original)> _originals = [];

    internal TemporaryWeights(IEnumerable<(WeightChange Change, double Factor)> changes)
    {
        bool complete = false;
        try
        {
            foreach ((WeightChange change, double factor) in changes)
            {
                if (!_originals.Any(kept => kept.Weight.Handle == change.Weight.Handle))
                {
                    using var noGrad = no_grad();
                    _originals.Add((change.Weight, change.Weight.clone().DetachFromDisposeScope()));
                }
                change.Add(factor);
            }
            complete = true;
        }
        finally
        {
            if (!complete) Dispose();
        }
    }

    public void Dispose()
    {
        using var noGrad = no_grad();
        foreach ((Parameter weight, Tensor original) in _originals)
        {
            weight.copy_(original);
            original.Dispose();
        }
        _originals.Clear();
    }
}
