using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>
/// The factors of a matrix of low rank, as a batch of independent blocks of rows: there is one block, but for layers in groups. A is <c>[blocks, r, n]</c>, B is
/// <c>[blocks, m, r]</c>, and block i of the matrix is Bᵢ·Aᵢ.
/// </summary>
internal sealed record LowRank(Tensor A, Tensor B)
{
    internal long Blocks => A.shape[0];

    /// <summary>The rank of each block.</summary>
    internal long Rank => A.shape[1];

    internal Tensor Product() => B.matmul(A);

    /// <summary>The same matrix with zeros for further rows of A and columns of B, or itself where it has the rank already.</summary>
    internal LowRank PaddedTo(long rank) => Rank >= rank ? this : new LowRank(
        cat([A, A.new_zeros(Blocks, rank - Rank, A.shape[2])], 1),
        cat([B, B.new_zeros(Blocks, B.shape[1], rank - Rank)], 2));

    internal LowRank MoveToOuterDisposeScope() => new(A.MoveToOuterDisposeScope(), B.MoveToOuterDisposeScope());
}
