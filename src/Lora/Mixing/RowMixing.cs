using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Mixing;

/// <summary>
/// Adds the terms of several adapters, each to its own rows of one batch. This way serves adapters of every kind whose input has the batch as its first
/// dimension: the rows are sorted once, each adapter computes its term on its own stretch, and the terms go back in one piece. It can be differentiated.
/// </summary>
internal class RowMixing
{
    internal static RowMixing BySegments { get; } = new();

    /// <summary>Computes the sum.</summary>
    /// <param name="sum">What the terms are added to, in the type that is computed in.</param>
    /// <param name="input">The layer's input.</param>
    /// <param name="selection">The rows of each adapter.</param>
    /// <param name="adapters">The adapters, one for each group of the selection.</param>
    /// <param name="inPlace">Whether <paramref name="sum"/> may be written over; no gradient is needed then.</param>
    /// <returns>The sum, in the current dispose scope, or <paramref name="sum"/> itself, written over.</returns>
    internal virtual Tensor Add(Tensor sum, Tensor input, RowSelection selection, LoraAdapter[] adapters, bool inPlace)
    {
        Tensor rows = selection.Gather(input);
        // One split, whose gradient is one concatenation; a narrow for each would have a gradient of the whole batch for each.
        Tensor[] segments = adapters.Length == 1 ? [rows] : rows.split(selection.Lengths, 0L);
        Tensor[] terms = [.. adapters.Select((adapter, i) => InType(adapter.Contribution(segments[i], selection.Groups[i].Rows), sum.dtype))];
        return selection.Add(sum, terms.Length == 1 ? terms[0] : cat(terms, 0));
    }

    private static Tensor InType(Tensor tensor, ScalarType type) => tensor.dtype == type ? tensor : tensor.to(type);
}
