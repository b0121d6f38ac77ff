using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor add(Tensor target) => Ops.Tensor("add.Tensor", this, target);

        public Tensor add(Tensor target, Scalar alpha) => Ops.Tensor("add.Tensor", this, target, alpha);

        public Tensor add(Scalar scalar) => Ops.Tensor("add.Scalar", this, scalar);

        public Tensor add(Scalar scalar, Scalar alpha) => Ops.Tensor("add.Scalar", this, scalar, alpha);

        public Tensor add_(Tensor target) => Ops.InPlace("add_.Tensor", this, target);

        public Tensor add_(Tensor target, Scalar alpha) => Ops.InPlace("add_.Tensor", this, target, alpha);

        public Tensor add_(Scalar scalar) => Ops.InPlace("add_.Scalar", this, scalar);

        public Tensor add_(Scalar scalar, Scalar alpha) => Ops.InPlace("add_.Scalar", this, scalar, alpha);

        public Tensor sub(Tensor target) => Ops.Tensor("sub.Tensor", this, target);

        public Tensor sub(Scalar target) => Ops.Tensor("sub.Scalar", this, target);

        public Tensor sub_(Tensor target) => Ops.InPlace("sub_.Tensor", this, target);

        public Tensor sub_(Scalar target) => Ops.InPlace("sub_.Scalar", this, target);

        public Tensor subtract(Tensor target) => Ops.Tensor("sub.Tensor", this, target);

        public Tensor subtract(Scalar target) => Ops.Tensor("sub.Scalar", this, target);

        public Tensor subtract_(Tensor target) => Ops.InPlace("sub_.Tensor", this, target);

        public Tensor subtract_(Scalar target) => Ops.InPlace("sub_.Scalar", this, target);

        public Tensor mul(Tensor target) => Ops.Tensor("mul.Tensor", this, target);

        public Tensor mul(Scalar target) => Ops.Tensor("mul.Scalar", this, target);

        public Tensor mul_(Tensor target) => Ops.InPlace("mul_.Tensor", this, target);

        public Tensor mul_(Scalar target) => Ops.InPlace("mul_.Scalar", this, target);

        public Tensor multiply(Tensor target) => Ops.Tensor("mul.Tensor", this, target);

        public Tensor multiply(Scalar target) => Ops.Tensor("mul.Scalar", this, target);

        public Tensor div(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None
            ? Ops.Tensor("div.Tensor", this, target)
            : Ops.Tensor("div.Tensor_mode", this, target, rounding_mode.ToString());

        public Tensor div_(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None
            ? Ops.InPlace("div_.Tensor", this, target)
            : Ops.InPlace("div_.Tensor_mode", this, target, rounding_mode.ToString());

        public Tensor div(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None
            ? Ops.Tensor("div.Scalar", this, target)
            : Ops.Tensor("div.Scalar_mode", this, target, rounding_mode.ToString());

        public Tensor div_(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None
            ? Ops.InPlace("div_.Scalar", this, target)
            : Ops.InPlace("div_.Scalar_mode", this, target, rounding_mode.ToString());

        public Tensor divide(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None
            ? Ops.Tensor("div.Tensor", this, target)
            : Ops.Tensor("div.Tensor_mode", this, target, rounding_mode.ToString());

        public Tensor divide_(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None
            ? Ops.InPlace("div_.Tensor", this, target)
            : Ops.InPlace("div_.Tensor_mode", this, target, rounding_mode.ToString());

        public Tensor divide(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None
            ? Ops.Tensor("div.Scalar", this, target)
            : Ops.Tensor("div.Scalar_mode", this, target, rounding_mode.ToString());

        public Tensor divide_(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None
            ? Ops.InPlace("div_.Scalar", this, target)
            : Ops.InPlace("div_.Scalar_mode", this, target, rounding_mode.ToString());

        public Tensor true_divide(Tensor other) => Ops.Tensor("div.Tensor", this, other);

        public Tensor true_divide_(Tensor other) => Ops.InPlace("div_.Tensor", this, other);

        public Tensor true_divide(Scalar other) => Ops.Tensor("div.Scalar", this, other);

        public Tensor true_divide_(Scalar other) => Ops.InPlace("div_.Scalar", this, other);

        public Tensor floor_divide(Tensor other) => Ops.Tensor("floor_divide", this, other);

        public Tensor floor_divide_(Tensor other) => Ops.InPlace("floor_divide_.Tensor", this, other);

        public Tensor floor_divide(Scalar other) => Ops.Tensor("floor_divide.Scalar", this, other);

        public Tensor floor_divide_(Scalar other) => Ops.InPlace("floor_divide_.Scalar", this, other);

        public Tensor remainder(Tensor target) => Ops.Tensor("remainder.Tensor", this, target);

        public Tensor remainder_(Tensor target) => Ops.InPlace("remainder_.Tensor", this, target);

        public Tensor remainder(Scalar scalar) => Ops.Tensor("remainder.Scalar", this, scalar);

        public Tensor remainder_(Scalar scalar) => Ops.InPlace("remainder_.Scalar", this, scalar);

        public Tensor fmod(Tensor target) => Ops.Tensor("fmod.Tensor", this, target);

        public Tensor fmod_(Tensor target) => Ops.InPlace("fmod_.Tensor", this, target);

        public Tensor fmod(Scalar scalar) => Ops.Tensor("fmod.Scalar", this, scalar);

        public Tensor fmod_(Scalar scalar) => Ops.InPlace("fmod_.Scalar", this, scalar);

        public Tensor pow(Tensor exponent) => Ops.Tensor("pow.Tensor_Tensor", this, exponent);

        public Tensor pow(Scalar exponent) => Ops.Tensor("pow.Tensor_Scalar", this, exponent);

        public Tensor pow_(Tensor exponent) => Ops.InPlace("pow_.Tensor", this, exponent);

        public Tensor pow_(Scalar exponent) => Ops.InPlace("pow_.Scalar", this, exponent);

        public Tensor maximum(Tensor other) => Ops.Tensor("maximum", this, other);

        public Tensor minimum(Tensor other) => Ops.Tensor("minimum", this, other);

        public Tensor atan2(Tensor other) => Ops.Tensor("atan2", this, other);

        public Tensor atan2_(Tensor other) => Ops.InPlace("atan2_", this, other);

        public Tensor logaddexp(Tensor other) => Ops.Tensor("logaddexp", this, other);

        public Tensor hypot(Tensor other) => Ops.Tensor("hypot", this, other);

        public Tensor copysign(Tensor other) => Ops.Tensor("copysign.Tensor", this, other);

        public Tensor lerp(Tensor end, Tensor weight) => Ops.Tensor("lerp.Tensor", this, end, weight);

        public Tensor lerp_(Tensor end, Tensor weight) => Ops.InPlace("lerp_.Tensor", this, end, weight);

        public Tensor addcmul(Tensor tensor1, Tensor tensor2, Scalar value) => Ops.Tensor("addcmul", this, tensor1, tensor2, value);

        public Tensor addcmul_(Tensor tensor1, Tensor tensor2, Scalar value) => Ops.InPlace("addcmul_", this, tensor1, tensor2, value);

        public Tensor addcdiv(Tensor tensor1, Tensor tensor2) => Ops.Tensor("addcdiv", this, tensor1, tensor2);

        public Tensor addcdiv(Tensor tensor1, Tensor tensor2, Scalar value) => Ops.Tensor("addcdiv", this, tensor1, tensor2, value);

        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2) => Ops.InPlace("addcdiv_", this, tensor1, tensor2);

        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2, Scalar value) => Ops.InPlace("addcdiv_", this, tensor1, tensor2, value);
    }
}
