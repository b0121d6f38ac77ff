using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>What merging an adapter adds to one base parameter: s·L·R of two narrow matrices, or a whole tensor.</summary>
public sealed class WeightChange
{
    private readonly Tensor _left;
    private readonly Tensor? _right;
    private readonly double _scale;
    private readonly long[]? _matrix;

    private WeightChange(Parameter weight, Tensor left, Tensor? right, double scale, long[]? matrix)
    {
        Weight = weight;
        _left = left;
        _right = right;
        _scale = scale;
        _matrix = matrix;
    }

    /// <summary>The parameter that is changed.</summary>
    public Parameter Weight { get; }

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

    /// <summary>Adds the change <paramref name="factor"/> times to the parameter, in place.</summary>
    internal void Add(double factor)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        // In one type the product goes straight into the weight, without a temporary of its size. Otherwise it is rounded once, after the sum.
        if (_right is not null && Weight.dtype == _left.dtype && Weight.is_contiguous())
            Weight.detach().view(_matrix!).addmm_(_left.detach().mul(factor * _scale), _right.detach());
        else
            Weight.copy_(Sum(Weight, factor));
    }

    /// <summary>The parameter with the change added, in the parameter's type; the parameter stays as it is.</summary>
    /// <param name="weight">What stands for the parameter's present value, such as the result of an earlier change; null for itself.</param>
    internal Tensor Result(Tensor? weight = null)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return Sum(weight ?? Weight, 1).to(Weight.dtype).MoveToOuterDisposeScope();
    }

    private Tensor Sum(Tensor weight, double factor)
    {
        ScalarType type = Weight.dtype == ScalarType.Float64 || _left.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        Tensor left = _left.detach().to(type).mul(factor * _scale);
        Tensor delta = _right is null ? left : left.matmul(_right.detach().to(type)).view(Weight.shape);
        return weight.detach().to(type).add(delta);
    }
}
