using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor matmul(Tensor target) => Ops.Tensor("matmul", this, target);

        public Tensor mm(Tensor target) => Ops.Tensor("mm", this, target);

        public Tensor mv(Tensor target) => Ops.Tensor("mv", this, target);

        public Tensor bmm(Tensor batch2) => Ops.Tensor("bmm", this, batch2);

        public Tensor dot(Tensor target) => Ops.Tensor("dot", this, target);

        public Tensor vdot(Tensor target) => Ops.Tensor("vdot", this, target);

        public Tensor inner(Tensor vec2) => Ops.Tensor("inner", this, vec2);

        public Tensor outer(Tensor vec2) => Ops.Tensor("outer", this, vec2);

        public Tensor ger(Tensor vec2) => Ops.Tensor("outer", this, vec2);

        public Tensor kron(Tensor other) => Ops.Tensor("kron", this, other);

        public Tensor addmm(Tensor mat1, Tensor mat2, float beta = 1f, float alpha = 1f) => Ops.Tensor("addmm", this, mat1, mat2, beta, alpha);

        public Tensor addmm_(Tensor mat1, Tensor mat2, float beta = 1f, float alpha = 1f) => Ops.InPlace("addmm_", this, mat1, mat2, beta, alpha);

        public Tensor addmv(Tensor mat, Tensor vec, float beta = 1f, float alpha = 1f) => Ops.Tensor("addmv", this, mat, vec, beta, alpha);

        public Tensor addmv_(Tensor mat, Tensor vec, float beta = 1f, float alpha = 1f) => Ops.InPlace("addmv_", this, mat, vec, beta, alpha);

        public Tensor addr(Tensor vec1, Tensor vec2, float beta = 1f, float alpha = 1f) => Ops.Tensor("addr", this, vec1, vec2, beta, alpha);

        public Tensor addr_(Tensor vec1, Tensor vec2, float beta = 1f, float alpha = 1f) => Ops.InPlace("addr_", this, vec1, vec2, beta, alpha);

        public Tensor addbmm(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f) => Ops.Tensor("addbmm", this, batch1, batch2, beta, alpha);

        public Tensor addbmm_(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f) => Ops.InPlace("addbmm_", this, batch1, batch2, beta, alpha);

        /// <summary>beta · <paramref name="batch2"/> + alpha · this @ <paramref name="batch1"/>: the package hands its arguments over in this order.</summary>
        public Tensor baddbmm(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f) => Ops.Tensor("baddbmm", batch2, this, batch1, beta, alpha);

        public Tensor tensordot(Tensor b, long[] dims1, long[] dims2) => Ops.Tensor("tensordot", this, b, dims1, dims2);

        public Tensor inverse() => linalg.inv(this);

        public Tensor det() => linalg.det(this);

        public Tensor trace() => Ops.Tensor("trace", this);

        public Tensor pinverse(double rcond = 1E-15, bool hermitian = false) => Ops.Tensor("linalg_pinv", this, rcond, hermitian);
    }
}
