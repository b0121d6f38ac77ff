using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor abs() => Ops.Tensor("abs", this);

        public Tensor abs_() => Ops.InPlace("abs_", this);

        public Tensor absolute() => Ops.Tensor("abs", this);

        public Tensor absolute_() => Ops.InPlace("abs_", this);

        public Tensor ceil() => Ops.Tensor("ceil", this);

        public Tensor ceil_() => Ops.InPlace("ceil_", this);

        public Tensor floor() => Ops.Tensor("floor", this);

        public Tensor floor_() => Ops.InPlace("floor_", this);

        public Tensor trunc() => Ops.Tensor("trunc", this);

        public Tensor trunc_() => Ops.InPlace("trunc_", this);

        public Tensor frac() => Ops.Tensor("frac", this);

        public Tensor frac_() => Ops.InPlace("frac_", this);

        public Tensor neg() => Ops.Tensor("neg", this);

        public Tensor neg_() => Ops.InPlace("neg_", this);

        public Tensor exp() => Ops.Tensor("exp", this);

        public Tensor exp_() => Ops.InPlace("exp_", this);

        public Tensor expm1() => Ops.Tensor("expm1", this);

        public Tensor expm1_() => Ops.InPlace("expm1_", this);

        public Tensor log() => Ops.Tensor("log", this);

        public Tensor log_() => Ops.InPlace("log_", this);

        public Tensor log2() => Ops.Tensor("log2", this);

        public Tensor log2_() => Ops.InPlace("log2_", this);

        public Tensor log10() => Ops.Tensor("log10", this);

        public Tensor log10_() => Ops.InPlace("log10_", this);

        public Tensor log1p() => Ops.Tensor("log1p", this);

        public Tensor log1p_() => Ops.InPlace("log1p_", this);

        public Tensor sqrt() => Ops.Tensor("sqrt", this);

        public Tensor sqrt_() => Ops.InPlace("sqrt_", this);

        public Tensor rsqrt() => Ops.Tensor("rsqrt", this);

        public Tensor rsqrt_() => Ops.InPlace("rsqrt_", this);

        public Tensor reciprocal() => Ops.Tensor("reciprocal", this);

        public Tensor reciprocal_() => Ops.InPlace("reciprocal_", this);

        public Tensor sin() => Ops.Tensor("sin", this);

        public Tensor sin_() => Ops.InPlace("sin_", this);

        public Tensor cos() => Ops.Tensor("cos", this);

        public Tensor cos_() => Ops.InPlace("cos_", this);

        public Tensor tan() => Ops.Tensor("tan", this);

        public Tensor tan_() => Ops.InPlace("tan_", this);

        public Tensor sinh() => Ops.Tensor("sinh", this);

        public Tensor sinh_() => Ops.InPlace("sinh_", this);

        public Tensor cosh() => Ops.Tensor("cosh", this);

        public Tensor cosh_() => Ops.InPlace("cosh_", this);

        public Tensor tanh() => Ops.Tensor("tanh", this);

        public Tensor tanh_() => Ops.InPlace("tanh_", this);

        public Tensor asin() => Ops.Tensor("asin", this);

        public Tensor asin_() => Ops.InPlace("asin_", this);

        public Tensor acos() => Ops.Tensor("acos", this);

        public Tensor acos_() => Ops.InPlace("acos_", this);

        public Tensor atan() => Ops.Tensor("atan", this);

        public Tensor atan_() => Ops.InPlace("atan_", this);

        public Tensor erf() => Ops.Tensor("erf", this);

        public Tensor erf_() => Ops.InPlace("erf_", this);

        public Tensor erfc() => Ops.Tensor("erfc", this);

        public Tensor erfc_() => Ops.InPlace("erfc_", this);

        public Tensor erfinv() => Ops.Tensor("erfinv", this);

        public Tensor erfinv_() => Ops.InPlace("erfinv_", this);

        public Tensor sigmoid() => Ops.Tensor("sigmoid", this);

        public Tensor sigmoid_() => Ops.InPlace("sigmoid_", this);

        public Tensor sign() => Ops.Tensor("sign", this);

        public Tensor sign_() => Ops.InPlace("sign_", this);

        public Tensor relu() => Ops.Tensor("relu", this);

        public Tensor relu_() => Ops.InPlace("relu_", this);

        public Tensor relu6() => Ops.Tensor("relu6", this);

        public Tensor relu6_() => Ops.InPlace("relu6_", this);

        public Tensor negative() => Ops.Tensor("negative", this);

        public Tensor positive() => Ops.Tensor("positive", this);

        public Tensor square() => Ops.Tensor("square", this);

        public Tensor exp2() => Ops.Tensor("exp2", this);

        public Tensor lgamma() => Ops.Tensor("lgamma", this);

        public Tensor digamma() => Ops.Tensor("digamma", this);

        public Tensor signbit() => Ops.Tensor("signbit", this);

        public Tensor round(long decimals = 0) => decimals == 0 ? Ops.Tensor("round", this) : Ops.Tensor("round.decimals", this, decimals);

        public Tensor round_(long decimals = 0) => decimals == 0 ? Ops.InPlace("round_", this) : Ops.InPlace("round_.decimals", this, decimals);

        public Tensor clamp(Scalar min = null, Scalar max = null) => Ops.Tensor("clamp", this, min, max);

        public Tensor clamp(Tensor min = null, Tensor max = null) => Ops.Tensor("clamp.Tensor", this, min, max);

        public Tensor clamp_(Scalar min = null, Scalar max = null) => Ops.InPlace("clamp_", this, min, max);

        public Tensor clamp_(Tensor min = null, Tensor max = null) => Ops.InPlace("clamp_.Tensor", this, min, max);

        public Tensor clip(Scalar min = null, Scalar max = null) => clamp(min, max);

        public Tensor clamp_min(Scalar min) => Ops.Tensor("clamp_min", this, min);

        public Tensor clamp_min_(Scalar min) => Ops.InPlace("clamp_min_", this, min);

        public Tensor clamp_max(Scalar max) => Ops.Tensor("clamp_max", this, max);

        public Tensor clamp_max_(Scalar max) => Ops.InPlace("clamp_max_", this, max);

        public Tensor nan_to_num(double nan = 0, double? posinf = null, double? neginf = null) => Ops.Tensor("nan_to_num", this, nan, posinf, neginf);

        public Tensor fill_(Scalar value) => Ops.InPlace("fill_.Scalar", this, value);

        public Tensor zero_() => Ops.InPlace("zero_", this);

        public Tensor softmax(long dim, ScalarType? dtype = null) => Ops.Tensor("softmax.int", this, dim, dtype);

        public Tensor log_softmax(long dim, ScalarType? dtype = null) => Ops.Tensor("log_softmax.int", this, dim, dtype);
    }
}
