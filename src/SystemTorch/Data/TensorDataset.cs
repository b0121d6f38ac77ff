using static TorchSharp.torch;
using static TorchSharp.torch.utils.data;

namespace TorchSharp.Modules;

/// <summary>Tensors of one length; an item is the part of each at one place of the first dimension.</summary>
public class TensorDataset : IterableDataset
{
    private readonly Tensor[] _tensors;

    internal TensorDataset(Tensor[] tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        if (tensors.Length == 0) throw new ArgumentException("a dataset needs at least one tensor", nameof(tensors));
        long count = tensors[0].size(0);
        if (tensors.Any(t => t.size(0) != count)) throw new ArgumentException("All tensors must have the same first dimension size.", nameof(tensors));
        _tensors = Array.ConvertAll(tensors, t => t.alias().DetachFromDisposeScope());
        Count = count;
    }

    public override long Count { get; }

    public IList<Tensor> this[long index] => Array.ConvertAll(_tensors, t => t[index]);

    public override IList<Tensor> GetTensor(long index) => this[index];

    protected override void Dispose(bool disposing)
    {
        if (disposing) foreach (Tensor tensor in _tensors) tensor.Dispose();
        base.Dispose(disposing);
    }
}
