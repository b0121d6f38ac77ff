using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public static Tensor operator ==(Tensor left, Tensor right) => Ops.Tensor("eq.Tensor", left, right);

        public static Tensor operator ==(Tensor left, Scalar right) => Ops.Tensor("eq.Scalar", left, right);

        public static Tensor operator ==(Scalar left, Tensor right) => Ops.Tensor("eq.Scalar", right, left);

        public static Tensor operator !=(Tensor left, Tensor right) => Ops.Tensor("ne.Tensor", left, right);

        public static Tensor operator !=(Tensor left, Scalar right) => Ops.Tensor("ne.Scalar", left, right);

        public static Tensor operator !=(Scalar left, Tensor right) => Ops.Tensor("ne.Scalar", right, left);

        public static Tensor operator <(Tensor left, Tensor right) => Ops.Tensor("lt.Tensor", left, right);

        public static Tensor operator <(Tensor left, Scalar right) => Ops.Tensor("lt.Scalar", left, right);

        public static Tensor operator <(Scalar left, Tensor right) => Ops.Tensor("gt.Scalar", right, left);

        public static Tensor operator <=(Tensor left, Tensor right) => Ops.Tensor("le.Tensor", left, right);

        public static Tensor operator <=(Tensor left, Scalar right) => Ops.Tensor("le.Scalar", left, right);

        public static Tensor operator <=(Scalar left, Tensor right) => Ops.Tensor("ge.Scalar", right, left);

        public static Tensor operator >(Tensor left, Tensor right) => Ops.Tensor("gt.Tensor", left, right);

        public static Tensor operator >(Tensor left, Scalar right) => Ops.Tensor("gt.Scalar", left, right);

        public static Tensor operator >(Scalar left, Tensor right) => Ops.Tensor("lt.Scalar", right, left);

        public static Tensor operator >=(Tensor left, Tensor right) => Ops.Tensor("ge.Tensor", left, right);

        public static Tensor operator >=(Tensor left, Scalar right) => Ops.Tensor("ge.Scalar", left, right);

        public static Tensor operator >=(Scalar left, Tensor right) => Ops.Tensor("le.Scalar", right, left);

        public Tensor eq(Tensor target) => Ops.Tensor("eq.Tensor", this, target);

        public Tensor eq(Scalar target) => Ops.Tensor("eq.Scalar", this, target);

        public Tensor eq_(Tensor target) => Ops.InPlace("eq_.Tensor", this, target);

        public Tensor eq_(Scalar target) => Ops.InPlace("eq_.Scalar", this, target);

        public Tensor ne(Tensor target) => Ops.Tensor("ne.Tensor", this, target);

        public Tensor ne(Scalar target) => Ops.Tensor("ne.Scalar", this, target);

        public Tensor ne_(Tensor target) => Ops.InPlace("ne_.Tensor", this, target);

        public Tensor ne_(Scalar target) => Ops.InPlace("ne_.Scalar", this, target);

        public Tensor lt(Tensor target) => Ops.Tensor("lt.Tensor", this, target);

        public Tensor lt(Scalar target) => Ops.Tensor("lt.Scalar", this, target);

        public Tensor lt_(Tensor target) => Ops.InPlace("lt_.Tensor", this, target);

        public Tensor lt_(Scalar target) => Ops.InPlace("lt_.Scalar", this, target);

        public Tensor le(Tensor target) => Ops.Tensor("le.Tensor", this, target);

        public Tensor le(Scalar target) => Ops.Tensor("le.Scalar", this, target);

        public Tensor le_(Tensor target) => Ops.InPlace("le_.Tensor", this, target);

        public Tensor le_(Scalar target) => Ops.InPlace("le_.Scalar", this, target);

        public Tensor gt(Tensor target) => Ops.Tensor("gt.Tensor", this, target);

        public Tensor gt(Scalar target) => Ops.Tensor("gt.Scalar", this, target);

        public Tensor gt_(Tensor target) => Ops.InPlace("gt_.Tensor", this, target);

        public Tensor gt_(Scalar target) => Ops.InPlace("gt_.Scalar", this, target);

        public Tensor ge(Tensor target) => Ops.Tensor("ge.Tensor", this, target);

        public Tensor ge(Scalar target) => Ops.Tensor("ge.Scalar", this, target);

        public Tensor ge_(Tensor target) => Ops.InPlace("ge_.Tensor", this, target);

        public Tensor ge_(Scalar target) => Ops.InPlace("ge_.Scalar", this, target);

        /// <summary>Elementwise, as <see cref="eq(Tensor)"/>.</summary>
        public Tensor equal(Tensor target) => eq(target);

        public Tensor not_equal(Tensor target) => ne(target);

        public Tensor less(Tensor target) => lt(target);

        public Tensor less_equal(Tensor target) => le(target);

        public Tensor greater(Tensor target) => gt(target);

        public Tensor greater_equal(Tensor target) => ge(target);

        public bool allclose(Tensor target, double rtol = 1E-05, double atol = 1E-08, bool equal_nan = false) =>
            Ops.Bool("allclose", this, target, rtol, atol, equal_nan);

        public Tensor isclose(Tensor other, double rtol = 1E-05, double atol = 1E-08, bool nanEqual = false) =>
            Ops.Tensor("isclose", this, other, rtol, atol, nanEqual);

        public Tensor isnan() => Ops.Tensor("isnan", this);

        public Tensor isinf() => Ops.Tensor("isinf", this);

        public Tensor isfinite() => Ops.Tensor("isfinite", this);

        public Tensor isposinf() => Ops.Tensor("isposinf", this);

        public Tensor isneginf() => Ops.Tensor("isneginf", this);

        public Tensor isreal() => Ops.Tensor("isreal", this);

        public Tensor isin(Tensor test_elements, bool assumeUnique = false, bool invert = false) =>
            Ops.Tensor("isin.Tensor_Tensor", this, test_elements, assumeUnique, invert);

        public Tensor logical_and(Tensor other) => Ops.Tensor("logical_and", this, other);

        public Tensor logical_and_(Tensor other) => Ops.InPlace("logical_and_", this, other);

        public Tensor logical_or(Tensor other) => Ops.Tensor("logical_or", this, other);

        public Tensor logical_or_(Tensor other) => Ops.InPlace("logical_or_", this, other);

        public Tensor logical_xor(Tensor other) => Ops.Tensor("logical_xor", this, other);

        public Tensor logical_xor_(Tensor other) => Ops.InPlace("logical_xor_", this, other);

        public Tensor logical_not() => Ops.Tensor("logical_not", this);

        public Tensor logical_not_() => Ops.InPlace("logical_not_", this);

        /// <summary>Whether both have the same shape and the same values; <c>==</c> is elementwise.</summary>
        public bool Equals(Tensor target) => target is not null && Ops.Bool("equal", this, target);

        public override bool Equals(object obj) => obj is Tensor other && Equals(other);

        public override int GetHashCode() => base.GetHashCode();
    }
}
