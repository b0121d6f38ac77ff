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

    /// <summary>Multiplies rows by the transpose of a matrix that is zero outside of its blocks: x·Dᵀ for D = <see cref="Diagonal"/>(<paramref name="rows"/>), without D.</summary>
    /// <param name="input">x, <c>[…, parts·n]</c>.</param>
    /// <param name="rows">The blocks, one beneath the other, <c>[m, n]</c>.</param>
    /// <param name="parts">How many there are.</param>
    /// <param name="bias">What is added, <c>[m]</c>; null for nothing.</param>
    /// <returns>A new tensor of the shape <c>[…, m]</c>, in the current dispose scope.</returns>
    internal static Tensor Apply(Tensor input, Tensor rows, long parts, Tensor? bias = null)
    {
        if (parts == 1) return nn.functional.linear(input, rows, bias);
        using var scope = NewDisposeScope();
        long width = rows.shape[1];
        Tensor blocks = rows.view(parts, -1, width), split = input.reshape(-1, parts, width).transpose(0, 1);
        Tensor product = split.matmul(blocks.mT).transpose(0, 1).reshape([.. input.shape[..^1], rows.shape[0]]);
        return (bias is null ? product : product.add(bias)).MoveToOuterDisposeScope();
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
