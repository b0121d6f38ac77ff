using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks.Passes;

/// <summary>
/// Rotary positions of whole rows of heads: what <see cref="RotaryPositions.Rotate"/> does before the heads are taken apart, in three passes over the numbers. The way back is the turn in
/// the other direction, so nothing but the tables is kept.
/// </summary>
/// <param name="Cosine">Shape <c>[1 or batch, length, d]</c>, or <c>[…, heads · d]</c> where d alone would be a short run of numbers.</param>
/// <param name="Sine">The same, with the sign that each component is turned with.</param>
/// <param name="HeadDimension">d.</param>
internal sealed record RowRotation(Tensor Cosine, Tensor Sine, int HeadDimension)
{
    // Below it the tables are repeated for each head: an operator's inner loop is one run of numbers.
    private const int ShortRun = 32;

    /// <summary>Makes the tables in the current dispose scope.</summary>
    /// <param name="tables">From <see cref="RotaryPositions.For"/>.</param>
    /// <param name="heads">The largest number of heads that is turned.</param>
    /// <param name="headDimension">The width of a head.</param>
    /// <returns>Null where a part of each head alone is turned, or where the operators round between their steps.</returns>
    internal static RowRotation? Of((Tensor Cosine, Tensor Sine) tables, int heads, int headDimension)
    {
        if (tables.Cosine.shape[^1] != headDimension || tables.Cosine.dtype is not (ScalarType.Float32 or ScalarType.Float64)) return null;
        long half = headDimension / 2;
        Tensor cosine = tables.Cosine.squeeze(1), sine = tables.Sine.squeeze(1);
        sine = cat([sine.narrow(-1, 0, half).neg(), sine.narrow(-1, half, half)], -1);
        if (headDimension >= ShortRun) return new(cosine, sine, headDimension);
        return new(cosine.repeat(1, 1, heads), sine.repeat(1, 1, heads), headDimension);
    }

    /// <summary>Turns each head.</summary>
    /// <param name="rows">Shape <c>[batch, length, heads · d]</c>; may be a view.</param>
    /// <returns>A new tensor of the same shape in the current dispose scope.</returns>
    internal Tensor Apply(Tensor rows) => is_grad_enabled() && rows.requires_grad ? RotationFunction.apply(rows, Cosine, Sine, HeadDimension, 1.0) : Turn(rows, 1);

    /// <summary>Turns each head without a graph.</summary>
    /// <param name="rows">Shape <c>[batch, length, heads · d]</c>.</param>
    /// <param name="direction">1, or −1 for the way back.</param>
    internal Tensor Turn(Tensor rows, double direction)
    {
        using var scope = NewDisposeScope();
        using Scalar sign = direction;
        long heads = rows.shape[2] / HeadDimension, half = HeadDimension / 2;
        bool isWide = Cosine.shape[2] > HeadDimension;
        Tensor cut = rows.unflatten(2, heads, HeadDimension);
        Tensor swapped = cat([cut.narrow(3, half, half), cut.narrow(3, 0, half)], 3);
        Tensor turned = isWide
            ? rows.mul(Cosine.narrow(2, 0, rows.shape[2])).addcmul_(swapped.flatten(2), Sine.narrow(2, 0, rows.shape[2]), sign)
            : cut.mul(Cosine.unsqueeze(2)).addcmul_(swapped, Sine.unsqueeze(2), sign).flatten(2);
        return turned.MoveToOuterDisposeScope();
    }
}
