using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static class linalg
    {
        public enum QRMode
        {
            Reduced = 0,
            Complete = 1,
            R = 2,
        }

        public static (Tensor U, Tensor S, Tensor Vh) svd(Tensor input, bool fullMatrices = true) => Ops.Triple("linalg_svd", input, fullMatrices);

        public static Tensor svdvals(Tensor input) => Ops.Tensor("linalg_svdvals", input);

        public static (Tensor Q, Tensor R) qr(Tensor input, QRMode mode = QRMode.Reduced) =>
            Ops.Pair("linalg_qr", input, mode switch { QRMode.Complete => "complete", QRMode.R => "r", _ => "reduced" });

        public static (Tensor, Tensor) eigh(Tensor input, char UPLO = 'L') => Ops.Pair("linalg_eigh", input, UPLO.ToString());

        public static Tensor cholesky(Tensor input) => Ops.Tensor("linalg_cholesky", input);

        public static Tensor det(Tensor input) => Ops.Tensor("linalg_det", input);

        public static Tensor inv(Tensor input) => Ops.Tensor("linalg_inv", input);

        public static Tensor pinv(Tensor input, double? atol = null, double? rtol = null, bool hermitian = false) =>
            Ops.Tensor("linalg_pinv.atol_rtol_float", input, atol, rtol, hermitian);

        public static Tensor solve(Tensor A, Tensor B, bool left = true) => Ops.Tensor("linalg_solve", A, B, left);

        public static Tensor matrix_rank(Tensor input, double? atol = null, double? rtol = null, bool hermitian = false) =>
            Ops.Tensor("linalg_matrix_rank.atol_rtol_float", input, atol, rtol, hermitian);

        public static Tensor norm(Tensor input, long[] dims = null, bool keepdim = false) => Ops.Tensor("linalg_norm", input, Argument.None, dims, keepdim);

        public static Tensor norm(Tensor input, int ord, long[] dims = null, bool keepdim = false) => Ops.Tensor("linalg_norm", input, ord, dims, keepdim);

        public static Tensor norm(Tensor input, double ord, long[] dims = null, bool keepdim = false) => Ops.Tensor("linalg_norm", input, ord, dims, keepdim);

        public static Tensor norm(Tensor input, string ord, long[] dims = null, bool keepdim = false) =>
            Ops.Tensor("linalg_norm.ord_str", input, ord, dims, keepdim);

        public static Tensor vector_norm(Tensor input, double ord = 2, long[] dims = null, bool keepdim = false) =>
            Ops.Tensor("linalg_vector_norm", input, ord, dims, keepdim);

        public static Tensor matrix_norm(Tensor input, string ord = "fro", long[] dims = null, bool keepdim = false) =>
            Ops.Tensor("linalg_matrix_norm.str_ord", input, ord, dims is null ? Argument.Default : dims, keepdim);

        public static Tensor matrix_norm(Tensor input, double ord, long[] dims = null, bool keepdim = false) =>
            Ops.Tensor("linalg_matrix_norm", input, ord, dims is null ? Argument.Default : dims, keepdim);
    }
}
