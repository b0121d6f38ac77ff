using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>What merging an adapter makes of one base parameter: s·L·R of two narrow matrices is added, or a whole tensor; a variant may then give each row another norm.</summary>
public sealed class WeightChange
{
    private readonly Tensor _left;
    private readonly Tensor? _right;
    private readonly double _scale;
    private readonly long[]? _matrix;
    private readonly Tensor? _norm;
    private readonly long[] _rowDimensions;

    private WeightChange(Parameter weight, Tensor left, Tensor? right, double scale, long[]? matrix, Tensor? norm = null, long[]? rowDimensions = null)
    {
        Weight = weight;
        _left = left;
        _right = right;
        _scale = scale;
        _matrix = matrix;
        _norm = norm;
        _rowDimensions = rowDimensions ?? [];
    }

    /// <summary>The parameter that is changed.</summary>
    public Parameter Weight { get; }

    // In one type the product goes straight into the weight, without a temporary of its size.
    private bool IsInPlace => _right is not null && Weight.dtype == _left.dtype && Weight.is_contiguous();

    private ScalarType WideType => Weight.dtype == ScalarType.Float64 || _left.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;

    /// <summary>Adds s·L·R.</summary>
    /// <param name="weight">The parameter; it has as many elements as the product.</param>
    /// <param name="left">L, shape <c>[m, r]</c>.</param>
    /// <param name="right">R, shape <c>[r, n]</c>.</param>
    /// <param name="scale">The factor s.</param>
    /// <returns>The change.</returns>
    public static WeightChange Product(Parameter weight, Tensor left, Tensor right, double scale)
    {
        ArgumentNullException.ThrowIfNull(left);
        ArgumentNullException.ThrowIfNull(right);
        return new WeightChange(weight, left, right, scale, [left.shape[0], right.shape[1]]);
    }

    /// <summary>Adds s·D.</summary>
    /// <param name="weight">The parameter.</param>
    /// <param name="delta">D, of the parameter's shape.</param>
    /// <param name="scale">The factor s.</param>
    /// <returns>The change.</returns>
    public static WeightChange Sum(Parameter weight, Tensor delta, double scale = 1) => new(weight, delta, null, scale, null);

    /// <summary>The same change, after which each row gets a norm of its own.</summary>
    /// <param name="norm">The norms, in a shape that multiplies the parameter.</param>
    /// <param name="rowDimensions">The dimensions of the parameter that make up a row.</param>
    internal WeightChange Normalized(Tensor norm, long[] rowDimensions) => new(Weight, _left, _right, _scale, _matrix, norm, rowDimensions);

    /// <summary>Adds the change <paramref name="factor"/> times to the parameter, in place. It must be one that only adds.</summary>
    internal void Add(double factor)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        if (IsInPlace) AddProduct(factor);
        else Weight.copy_(Sum(Weight, factor)); // Rounded once, after the sum.
    }

    /// <summary>Makes the change, in place.</summary>
    /// <param name="original">What the parameter was before other changes were made; null where there were none.</param>
    /// <returns>What the rows have been multiplied by, in the current dispose scope, which <see cref="Revert"/> needs; null where they have not been.</returns>
    internal Tensor? Apply(Tensor? original)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        if (_norm is null)
        {
            Add(1);
            return null;
        }
        if (original is not null)
        {
            Weight.copy_(Beside(Weight, original));
            return null;
        }
        if (!IsInPlace || Weight.dtype != WideType)
        {
            Tensor sum = Sum(Weight, 1), wide = FactorOf(sum);
            Weight.copy_(sum.mul_(wide));
            return wide.MoveToOuterDisposeScope();
        }
        AddProduct(1);
        Tensor factor = FactorOf(Weight.detach());
        Weight.detach().mul_(factor);
        return factor.MoveToOuterDisposeScope();
    }

    /// <summary>Takes back what <see cref="Apply"/> has done alone, in place, but for rounding.</summary>
    /// <param name="factor">What it has returned.</param>
    internal void Revert(Tensor? factor)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        if (factor is null)
        {
            Add(-1);
            return;
        }
        factor = Wide(factor);
        if (!IsInPlace || Weight.dtype != WideType)
        {
            Weight.copy_(Sum(Wide(Weight).div(factor), -1));
        }
        else
        {
            Weight.detach().div_(factor);
            AddProduct(-1);
        }
    }

    /// <summary>The parameter with the change made, in the parameter's type; the parameter stays as it is.</summary>
    /// <param name="weight">What stands for the parameter's present value, such as the result of an earlier change; null for itself.</param>
    /// <param name="original">What the parameter was before other changes were made; null for <paramref name="weight"/>.</param>
    internal Tensor Result(Tensor? weight = null, Tensor? original = null)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor present = weight ?? Weight;
        return (_norm is null ? Sum(present, 1) : Beside(present, original ?? present)).to(Weight.dtype).MoveToOuterDisposeScope();
    }

    private void AddProduct(double factor) => Weight.detach().view(_matrix!).addmm_(_left.detach().mul(factor * _scale), _right!.detach());

    private Tensor Sum(Tensor weight, double factor)
    {
        Tensor left = _left.detach().to(WideType).mul(factor * _scale);
        Tensor delta = _right is null ? left : left.matmul(_right.detach().to(WideType)).view(Weight.shape);
        return Wide(weight).add(delta);
    }

    // What the change makes of the original, as a difference from it, goes onto what is there by now.
    private Tensor Beside(Tensor weight, Tensor original)
    {
        Tensor sum = Sum(original, 1), changed = sum.mul_(FactorOf(sum));
        return ReferenceEquals(weight, original) ? changed : changed.sub_(Wide(original)).add_(Wide(weight));
    }

    // The model may have been moved since a weight was kept.
    private Tensor Wide(Tensor weight) => weight.detach().to(WideType, Weight.device);

    // A row of zeros has no direction: its norm counts as 1.
    private Tensor FactorOf(Tensor sum)
    {
        Tensor norms = linalg.vector_norm(sum, 2, _rowDimensions, keepdim: true);
        return _norm!.detach().to(norms.dtype).div(norms.add(norms.eq(0)));
    }
}
