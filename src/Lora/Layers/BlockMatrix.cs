using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>Matrices that are zero outside blocks.</summary>
internal static class BlockMatrix
{
    /// <summary>Puts equal parts of the rows beside each other along the diagonal; the new tensor belongs to the current dispose scope.</summary>
    /// <param name="rows">The parts, one beneath the other, <c>[m, n, …]</c>.</param>
    /// <param name="parts">How many there are.</param>
    /// <returns>A tensor of the shape <c>[m, parts·n, …]</c>, or <paramref name="rows"/> itself where there is one part.</returns>
    internal static Tensor Diagonal(Tensor rows, long parts)
    {
        if (parts == 1) return rows;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        long height = rows.shape[0] / parts, width = rows.shape[1];
        Tensor whole = rows.new_zeros([rows.shape[0], parts * width, .. rows.shape[2..]]);
        for (long part = 0; part < parts; part++)
            whole.narrow(0, part * height, height).narrow(1, part * width, width).copy_(rows.narrow(0, part * height, height));
        return whole.MoveToOuterDisposeScope();
    }

    /// <summary>Takes the blocks that <see cref="Diagonal"/> has put along the diagonal; the new tensor belongs to the current dispose scope.</summary>
    /// <param name="whole">The tensor, <c>[m, parts·n, …]</c>.</param>
    /// <param name="parts">How many there are.</param>
    /// <returns>A tensor of the shape <c>[m, n, …]</c>.</returns>
    internal static Tensor Blocks(Tensor whole, long parts)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        long height = whole.shape[0] / parts, width = whole.shape[1] / parts;
        Tensor[] blocks = [.. Enumerable.Range(0, (int)parts).Select(part => whole.narrow(0, part * height, height).narrow(1, part * width, width))];
        return cat(blocks, 0).MoveToOuterDisposeScope();
    }
}
