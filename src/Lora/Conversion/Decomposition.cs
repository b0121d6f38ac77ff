using Lora.Combining;
using Lora.Initialization;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>The best factors of a difference ΔW, rounded to the type in which they are saved: B = U·S and A = Vᵀ of the largest singular values.</summary>
/// <param name="A">A, <c>[r, in]</c>.</param>
/// <param name="B">B, <c>[out, r]</c>.</param>
/// <param name="Norm">‖ΔW‖.</param>
/// <param name="Error">‖ΔW − B·A‖.</param>
/// <param name="EnergyKept">The kept singular values' part of ‖ΔW‖².</param>
internal sealed record Decomposition(Tensor A, Tensor B, double Norm, double Error, double EnergyKept)
{
    // One start gives the same adapter each time.
    private const long Seed = 0;

    /// <summary>Decomposes. The factors belong to the current dispose scope.</summary>
    /// <param name="delta">ΔW as a matrix <c>[out, in]</c> in float64; it is not zero.</param>
    /// <param name="options">Rank, energy and type.</param>
    internal static Decomposition Of(Tensor delta, ExtractionOptions options)
    {
        using var scope = NewDisposeScope();
        long most = Math.Min(options.Rank ?? long.MaxValue, Math.Min(delta.shape[0], delta.shape[1]));
        (Tensor u, Tensor s, Tensor vh) = options.RandomizedIterations is int iterations ? RandomizedSvd.Of(delta, most, iterations, Seed) : linalg.svd(delta, fullMatrices: false);
        double[] energies = s.square().cpu().data<double>().ToArray();
        // Not the sum of those, of which a randomised decomposition knows some only.
        double total = delta.square().sum().item<double>();
        int rank = RankChoice.Of(energies, total, options.Rank, options.EnergyThreshold);
        Tensor b = u.narrow(1, 0, rank).mul(s.narrow(0, 0, rank)).to(options.DataType).contiguous();
        Tensor a = vh.narrow(0, 0, rank).to(options.DataType).contiguous();
        // What the file gives, not what the decomposition would: rounding A and B is an error too.
        double error = Math.Sqrt(delta.sub(b.to(ScalarType.Float64).matmul(a.to(ScalarType.Float64))).square().sum().item<double>());
        return new Decomposition(a.MoveToOuterDisposeScope(), b.MoveToOuterDisposeScope(), Math.Sqrt(total), error, Math.Min(1, energies.Take(rank).Sum() / total));
    }
}
