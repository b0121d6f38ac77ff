using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public static Tensor operator +(Tensor left, Tensor right) => Ops.Tensor("add.Tensor", left, right);

        public static Tensor operator +(Tensor left, Scalar right) => Ops.Tensor("add.Scalar", left, right);

        public static Tensor operator +(Tensor left, int right) => Ops.Tensor("add.Scalar", left, right);

        public static Tensor operator +(Tensor left, long right) => Ops.Tensor("add.Scalar", left, right);

        public static Tensor operator +(Tensor left, float right) => Ops.Tensor("add.Scalar", left, right);

        public static Tensor operator +(Tensor left, double right) => Ops.Tensor("add.Scalar", left, right);

        public static Tensor operator +(Scalar left, Tensor right) => Ops.Tensor("add.Scalar", right, left);

        public static Tensor operator +(int left, Tensor right) => Ops.Tensor("add.Scalar", right, left);

        public static Tensor operator +(long left, Tensor right) => Ops.Tensor("add.Scalar", right, left);

        public static Tensor operator +(float left, Tensor right) => Ops.Tensor("add.Scalar", right, left);

        public static Tensor operator +(double left, Tensor right) => Ops.Tensor("add.Scalar", right, left);

        public static Tensor operator -(Tensor left, Tensor right) => Ops.Tensor("sub.Tensor", left, right);

        public static Tensor operator -(Tensor left, Scalar right) => Ops.Tensor("sub.Scalar", left, right);

        public static Tensor operator -(Tensor left, int right) => Ops.Tensor("sub.Scalar", left, right);

        public static Tensor operator -(Tensor left, long right) => Ops.Tensor("sub.Scalar", left, right);

        public static Tensor operator -(Tensor left, float right) => Ops.Tensor("sub.Scalar", left, right);

        public static Tensor operator -(Tensor left, double right) => Ops.Tensor("sub.Scalar", left, right);

        public static Tensor operator -(Scalar left, Tensor right) => Ops.Tensor("rsub.Scalar", right, left);

        public static Tensor operator -(int left, Tensor right) => Ops.Tensor("rsub.Scalar", right, left);

        public static Tensor operator -(long left, Tensor right) => Ops.Tensor("rsub.Scalar", right, left);

        public static Tensor operator -(float left, Tensor right) => Ops.Tensor("rsub.Scalar", right, left);

        public static Tensor operator -(double left, Tensor right) => Ops.Tensor("rsub.Scalar", right, left);

        public static Tensor operator *(Tensor left, Tensor right) => Ops.Tensor("mul.Tensor", left, right);

        public static Tensor operator *(Tensor left, Scalar right) => Ops.Tensor("mul.Scalar", left, right);

        public static Tensor operator *(Tensor left, int right) => Ops.Tensor("mul.Scalar", left, right);

        public static Tensor operator *(Tensor left, long right) => Ops.Tensor("mul.Scalar", left, right);

        public static Tensor operator *(Tensor left, float right) => Ops.Tensor("mul.Scalar", left, right);

        public static Tensor operator *(Tensor left, double right) => Ops.Tensor("mul.Scalar", left, right);

        public static Tensor operator *(Scalar left, Tensor right) => Ops.Tensor("mul.Scalar", right, left);

        public static Tensor operator *(int left, Tensor right) => Ops.Tensor("mul.Scalar", right, left);

        public static Tensor operator *(long left, Tensor right) => Ops.Tensor("mul.Scalar", right, left);

        public static Tensor operator *(float left, Tensor right) => Ops.Tensor("mul.Scalar", right, left);

        public static Tensor operator *(double left, Tensor right) => Ops.Tensor("mul.Scalar", right, left);

        public static Tensor operator /(Tensor left, Tensor right) => Ops.Tensor("div.Tensor", left, right);

        public static Tensor operator /(Tensor left, Scalar right) => Ops.Tensor("div.Scalar", left, right);

        public static Tensor operator /(Tensor left, int right) => Ops.Tensor("div.Scalar", left, right);

        public static Tensor operator /(Tensor left, long right) => Ops.Tensor("div.Scalar", left, right);

        public static Tensor operator /(Tensor left, float right) => Ops.Tensor("div.Scalar", left, right);

        public static Tensor operator /(Tensor left, double right) => Ops.Tensor("div.Scalar", left, right);

        public static Tensor operator /(Scalar left, Tensor right) => Quotient(left, right);

        public static Tensor operator /(int left, Tensor right) => Quotient(left, right);

        public static Tensor operator /(long left, Tensor right) => Quotient(left, right);

        public static Tensor operator /(float left, Tensor right) => Quotient(left, right);

        public static Tensor operator /(double left, Tensor right) => Quotient(left, right);

        public static Tensor operator %(Tensor left, Tensor right) => Ops.Tensor("remainder.Tensor", left, right);

        public static Tensor operator %(Tensor left, Scalar right) => Ops.Tensor("remainder.Scalar", left, right);

        public static Tensor operator %(Tensor left, int right) => Ops.Tensor("remainder.Scalar", left, right);

        public static Tensor operator %(Tensor left, long right) => Ops.Tensor("remainder.Scalar", left, right);

        public static Tensor operator %(Tensor left, float right) => Ops.Tensor("remainder.Scalar", left, right);

        public static Tensor operator %(Tensor left, double right) => Ops.Tensor("remainder.Scalar", left, right);

        public static Tensor operator -(Tensor tensor) => Ops.Tensor("neg", tensor);

        public static Tensor operator ~(Tensor left) => Ops.Tensor("bitwise_not", left);

        public static Tensor operator &(Tensor left, Tensor right) => Ops.Tensor("bitwise_and.Tensor", left, right);

        public static Tensor operator |(Tensor left, Tensor right) => Ops.Tensor("bitwise_or.Tensor", left, right);

        public static Tensor operator ^(Tensor left, Tensor right) => Ops.Tensor("bitwise_xor.Tensor", left, right);

        private static Tensor Quotient(Argument left, Tensor right)
        {
            using Tensor inverse = Ops.Tensor("reciprocal", right);
            return Ops.Tensor("mul.Scalar", inverse, left);
        }
    }
}
