using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor bitwise_and(Tensor other) => Ops.Tensor("bitwise_and.Tensor", this, other);

        public Tensor bitwise_and_(Tensor other) => Ops.InPlace("bitwise_and_.Tensor", this, other);

        public Tensor bitwise_or(Tensor other) => Ops.Tensor("bitwise_or.Tensor", this, other);

        public Tensor bitwise_or_(Tensor other) => Ops.InPlace("bitwise_or_.Tensor", this, other);

        public Tensor bitwise_xor(Tensor other) => Ops.Tensor("bitwise_xor.Tensor", this, other);

        public Tensor bitwise_xor_(Tensor other) => Ops.InPlace("bitwise_xor_.Tensor", this, other);

        public Tensor bitwise_not() => Ops.Tensor("bitwise_not", this);

        public Tensor bitwise_not_() => Ops.InPlace("bitwise_not_", this);

        public Tensor bitwise_left_shift(Tensor other) => Ops.Tensor("bitwise_left_shift.Tensor", this, other);

        public Tensor bitwise_left_shift_(Tensor other) => Ops.InPlace("bitwise_left_shift_.Tensor", this, other);

        public Tensor bitwise_right_shift(Tensor other) => Ops.Tensor("bitwise_right_shift.Tensor", this, other);

        public Tensor bitwise_right_shift_(Tensor other) => Ops.InPlace("bitwise_right_shift_.Tensor", this, other);
    }
}
