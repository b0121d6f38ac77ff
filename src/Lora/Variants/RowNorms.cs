using Lora.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>
/// The norms of the rows of W + s·B·A, without that matrix: ‖w‖² + 2s⟨w, bA⟩ + s²‖bA‖² for each row w of W and b of B, where ⟨w, bA⟩ = Σ (W·Aᵀ) ⊙ B and
/// ‖bA‖² = Σ (B·(A·Aᵀ)) ⊙ B along the row. That is O(out·in·r) work and O(out·r) memory.
/// </summary>
internal static class RowNorms
{
    // So many numbers of a half-precision weight are widened at a time: few calls, and little beside a weight that is worth the trouble.
    private const long PieceElements = 1 << 20;

    // So many numbers of a weight that is stored transposed are squared at a time: as many as a processor's cache holds.
    private const long SquareElements = 1 << 17;

    /// <summary>Computes the norms in float32 at least, without a gradient.</summary>
    /// <param name="weight">W.</param>
    /// <param name="adapter">A, B and s.</param>
    /// <returns>A new tensor of the shape <c>[out]</c>, which belongs to the current dispose scope.</returns>
    internal static Tensor Of(AdaptedWeight weight, LoraAdapter adapter)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using Scalar scale = adapter.Scale, two = 2, zero = 0;
        WeightRows rows = weight.Rows(adapter);
        ScalarType wide = rows.Weight.dtype == ScalarType.Float64 || adapter.A.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        Tensor down = InType(rows.Down, wide), up = InType(rows.Up, wide);
        Tensor whole = ReferenceEquals(rows.WholeDown, rows.Down) ? down : InType(rows.WholeDown, wide);
        (Tensor squares, Tensor products) = Measured(rows.Weight, down);
        Tensor inner = products.mul(two).add(up.matmul(whole.matmul(whole.mT)).mul(scale)).mul(up).sum(-1, keepdim: false).mul(scale);
        // Where s·B·A all but cancels W, rounding can leave less than nothing.
        return squares.add(inner).clamp_min(zero).sqrt().flatten().MoveToOuterDisposeScope();
    }

    // ‖w‖² of each row, and W·Aᵀ.
    private static (Tensor Squares, Tensor Products) Measured(Tensor weight, Tensor down)
    {
        if (weight.dtype == down.dtype) return (SquaresOf(weight), weight.matmul(down.mT));
        // Along the dimension that lies apart in memory, so that a piece is read in one go: rows, or columns of a weight that is stored transposed.
        int dimension = (int)weight.dim() - (weight.stride(-1) == 1 ? 2 : 1);
        long size = weight.shape[dimension], step = Math.Max(1, PieceElements * size / Math.Max(1, weight.numel()));
        bool byRows = dimension == weight.dim() - 2;
        var squares = new List<Tensor>();
        var products = new List<Tensor>();
        for (long start = 0; start < size; start += step)
        {
            using var scope = NewDisposeScope();
            long length = Math.Min(step, size - start);
            Tensor piece = weight.narrow(dimension, start, length).to(down.dtype);
            Tensor square = SquaresOf(piece), product = piece.matmul((byRows ? down : down.narrow(dimension, start, length)).mT);
            if (byRows || start == 0)
            {
                squares.Add(square.MoveToOuterDisposeScope());
                products.Add(product.MoveToOuterDisposeScope());
            }
            else
            {
                squares[0].add_(square);
                products[0].add_(product);
            }
        }
        return squares.Count == 1 ? (squares[0], products[0]) : (cat(squares, -1), cat(products, -2));
    }

    // Not by squares of the elements, which would be another matrix of the weight's size.
    private static Tensor SquaresOf(Tensor matrix) => matrix.dim() == 2 && matrix.stride(-1) != 1 && matrix.device_type == DeviceType.CPU
        ? ColumnSquares(matrix.mT)
        : matrix.norm((int)matrix.dim() - 1).square();

    // On a CPU, libtorch's norm of the columns of a matrix takes many times as long as that of its rows.
    private static Tensor ColumnSquares(Tensor matrix)
    {
        using Scalar one = 1;
        (long rows, long columns) = (matrix.shape[0], matrix.shape[1]);
        long step = Math.Clamp(SquareElements / Math.Max(1, columns), 1, Math.Max(1, rows));
        Tensor sums = matrix.new_zeros(step, columns);
        for (long start = 0; start < rows; start += step)
        {
            using var scope = NewDisposeScope();
            long length = Math.Min(step, rows - start);
            Tensor piece = matrix.narrow(0, start, length);
            sums.narrow(0, 0, length).addcmul_(piece, piece, one);
        }
        return sums.sum(0, keepdim: false);
    }

    private static Tensor InType(Tensor tensor, ScalarType type) => tensor.dtype == type ? tensor : tensor.to(type);
}
