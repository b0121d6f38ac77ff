using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>
/// The principal components of rows that come in batches, without keeping the rows (Ross et al. 2008, "Incremental Learning for Robust Visual Tracking").
/// </summary>
internal sealed class IncrementalPca(int components) : IDisposable
{
    private Tensor? _mean;
    private Tensor? _variance;
    private double _count;

    /// <summary>The components, <c>[k, features]</c>, each of length 1; null before the first batch. They stay this object's.</summary>
    internal Tensor? Components { get; private set; }

    /// <summary>Their singular values.</summary>
    internal Tensor? SingularValues { get; private set; }

    /// <summary>The part of all variance that each explains.</summary>
    internal double[] ExplainedVariance { get; private set; } = [];

    /// <summary>Takes a batch in.</summary>
    /// <param name="rows">The rows, <c>[n, features]</c>, of which there must be as many as components.</param>
    internal void Add(Tensor rows)
    {
        using var scope = NewDisposeScope();
        long added = rows.shape[0];
        double total = _count + added;
        Tensor batchMean = rows.to(ScalarType.Float64).mean([0L]);
        Tensor centred = rows.to(ScalarType.Float64).sub(batchMean);
        Tensor batchSquares = centred.square().sum([0L]);
        Tensor mean = _mean is null ? batchMean : _mean.mul(_count).add(batchMean.mul(added)).div(total);
        // Chan, Golub and LeVeque's update of a variance.
        Tensor squares = _mean is null ? batchSquares : _variance!.mul(_count).add(batchSquares).add(_mean.sub(batchMean).square().mul(_count * added / total));
        Tensor stacked = _mean is null
            ? centred
            : cat([SingularValues!.unsqueeze(1).mul(Components!), centred, _mean.sub(batchMean).mul(Math.Sqrt(_count / total * added)).unsqueeze(0)], 0);
        (_, Tensor values, Tensor vectors) = linalg.svd(stacked, fullMatrices: false);
        long kept = Math.Min(components, values.shape[0]);
        ExplainedVariance = values.narrow(0, 0, kept).square().div(squares.sum()).cpu().data<double>().ToArray();
        Keep(values.narrow(0, 0, kept), vectors.narrow(0, 0, kept), mean, squares.div(total));
        _count = total;
    }

    public void Dispose()
    {
        Components?.Dispose();
        SingularValues?.Dispose();
        _mean?.Dispose();
        _variance?.Dispose();
    }

    private void Keep(Tensor values, Tensor vectors, Tensor mean, Tensor variance)
    {
        Dispose();
        (SingularValues, Components) = (values.clone().DetachFromDisposeScope(), vectors.clone().DetachFromDisposeScope());
        (_mean, _variance) = (mean.clone().DetachFromDisposeScope(), variance.clone().DetachFromDisposeScope());
    }
}
