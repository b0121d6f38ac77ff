using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>
/// The largest singular values of a matrix and their vectors, from its products with a few random ones (Halko, Martinsson and Tropp 2011, "Finding structure with
/// randomness", algorithms 4.4 and 5.1).
/// </summary>
internal static class RandomizedSvd
{
    // More columns than are asked for, as the paper advises: the last values would be poor otherwise.
    private const int Oversampling = 8;

    /// <summary>Finds U <c>[m, rank]</c>, S <c>[rank]</c> and Vᵀ <c>[rank, n]</c>. They belong to the current dispose scope.</summary>
    /// <param name="matrix">The matrix <c>[m, n]</c>.</param>
    /// <param name="rank">How many values, at most min(m, n).</param>
    /// <param name="iterations">How often the sketch is improved by the matrix and its transpose.</param>
    /// <param name="seed">Where the random numbers start; the global generator is not used.</param>
    internal static (Tensor U, Tensor S, Tensor Vh) Of(Tensor matrix, long rank, int iterations, long seed)
    {
        long columns = Math.Min(rank + Oversampling, Math.Min(matrix.shape[0], matrix.shape[1]));
        using var generator = new Generator((ulong)seed, CPU);
        Tensor sketch = randn([matrix.shape[1], columns], matrix.dtype, CPU, generator: generator).to(matrix.device);
        Tensor q = Basis(matrix.matmul(sketch));
        for (int i = 0; i < iterations; i++) q = Basis(matrix.matmul(Basis(matrix.t().matmul(q))));
        (Tensor u, Tensor s, Tensor vh) = linalg.svd(q.t().matmul(matrix), fullMatrices: false);
        return (q.matmul(u).narrow(1, 0, rank), s.narrow(0, 0, rank), vh.narrow(0, 0, rank));
    }

    private static Tensor Basis(Tensor columns) => linalg.qr(columns).Item1;
}
