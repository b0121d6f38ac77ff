using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>
/// A tensor that is computed once for the same parameters and the same scale. Numbers that are written into the parameters in place are not noticed, since TorchSharp does not
/// tell a tensor's version: whoever uses this says when they may have changed.
/// </summary>
internal sealed class KeptTensor : IDisposable
{
    private Entry? _entry;

    internal Tensor Of(Func<Tensor> compute, double scale, params ReadOnlySpan<Parameter> parameters)
    {
        // Passes may run beside each other: an entry is complete before it is seen, and only one that fits no pass any more is disposed.
        Entry? entry = _entry;
        if (entry is not null && entry.Scale.Equals(scale) && parameters.SequenceEqual(entry.Parameters, ReferenceEqualityComparer.Instance)) return entry.Value;
        Tensor value = compute().DetachFromDisposeScope();
        _entry = new Entry(value, scale, parameters.ToArray());
        entry?.Value.Dispose();
        return value;
    }

    /// <summary>Forgets the tensor during a pass; another pass may be reading it, so that it is left to the garbage collector.</summary>
    internal void Drop() => _entry = null;

    /// <summary>Forgets the tensor; the next one that is asked for is computed.</summary>
    public void Dispose()
    {
        _entry?.Value.Dispose();
        _entry = null;
    }

    private sealed record Entry(Tensor Value, double Scale, Parameter[] Parameters);
}
