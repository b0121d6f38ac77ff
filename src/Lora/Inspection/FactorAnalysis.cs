using static TorchSharp.torch;

namespace Lora.Inspection;

/// <summary>Numbers of matrices, in float64, without ever forming a product of their size.</summary>
internal static class FactorAnalysis
{
    private const long PieceElements = 1 << 20;

    /// <summary>The singular values of s·B·A, falling: with B = Q·R and Aᵀ = P·T they are those of the small matrix s·R·Tᵀ.</summary>
    internal static double[] SingularValues(Tensor a, Tensor b, double scale)
    {
        using var scope = NewDisposeScope();
        Tensor r = linalg.qr(b.detach().to(ScalarType.Float64)).Item2, t = linalg.qr(a.detach().to(ScalarType.Float64).t()).Item2;
        return [.. linalg.svdvals(r.matmul(t.t())).mul(Math.Abs(scale)).cpu().data<double>()];
    }

    /// <summary>The Frobenius norm, piece by piece, so that no copy of a large weight is made.</summary>
    internal static double Norm(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        Tensor flat = tensor.detach().reshape(-1);
        double sum = 0;
        for (long start = 0; start < flat.numel(); start += PieceElements)
        {
            using var piece = NewDisposeScope();
            sum += flat.narrow(0, start, Math.Min(PieceElements, flat.numel() - start)).to(ScalarType.Float64).square().sum().item<double>();
        }
        return Math.Sqrt(sum);
    }
}
