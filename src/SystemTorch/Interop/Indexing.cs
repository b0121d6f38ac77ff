using static TorchSharp.torch;

namespace TorchSharp.Interop;

/// <summary>
/// What <c>t[…]</c> means: numbers, slices and new dimensions make a view step by step; tensors among the places are left for one
/// <c>index</c> or <c>index_put_</c> on that view. The steps between are seen by no scope.
/// </summary>
internal ref struct Indexing
{
    private readonly List<Tensor> _indices = [];
    private readonly List<Tensor> _made = [];
    private RawTensor _view;
    private bool _hasTensors;

    // A mask is one index, and covers as many dimensions as it has: what follows it stands that much further left in the list.
    private long _coveredByMasks;

    private Indexing(Tensor self, ReadOnlySpan<TensorIndex> places)
    {
        _view = Ops.Raw("alias", self);
        try
        {
            long dimension = 0, specified = 0;
            foreach (ref readonly TensorIndex place in places) specified += Covers(place);
            foreach (ref readonly TensorIndex place in places)
            {
                if (place.Kind == TensorIndex.Form.Ellipsis) dimension += self.Dimensions - specified;
                else Apply(place, ref dimension);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    internal static Tensor Get(Tensor self, ReadOnlySpan<TensorIndex> places)
    {
        var indexing = new Indexing(self, places);
        if (!indexing._hasTensors) return indexing._view.Wrap();
        using (indexing) return Ops.Tensor("index.Tensor", indexing._view, indexing._indices.ToArray());
    }

    internal static Tensor Set(Tensor self, ReadOnlySpan<TensorIndex> places, Tensor value, bool accumulate = false)
    {
        var indexing = new Indexing(self, places);
        using (indexing)
        {
            if (indexing._hasTensors)
                Ops.Raw("index_put_", indexing._view, indexing._indices.ToArray(), value, accumulate).Dispose();
            else
                Fill(indexing._view, value, accumulate ? "add_.Tensor" : "copy_");
        }
        return self;
    }

    public readonly void Dispose()
    {
        _view.Dispose();
        foreach (Tensor tensor in _made) tensor.Dispose();
    }

    // A value may have leading dimensions of one more than the place it goes to.
    private static void Fill(RawTensor target, Tensor value, string op)
    {
        long surplus = value.Dimensions - Native.Check(Native.st_tensor_dim(target.Handle));
        long[] sizes = surplus > 0 ? value.shape : [];
        if (surplus <= 0 || sizes.AsSpan(0, (int)surplus).ContainsAnyExcept(1L))
        {
            Ops.Raw(op, target, value).Dispose();
            return;
        }
        using RawTensor trimmed = Ops.Raw("reshape", value, sizes[(int)surplus..]);
        Ops.Raw(op, target, trimmed).Dispose();
    }

    private void Apply(in TensorIndex place, ref long dimension)
    {
        switch (place.Kind)
        {
            case TensorIndex.Form.Single:
                Step(Ops.Raw("select.int", _view, dimension, place.Start));
                break;
            case TensorIndex.Form.Slice:
                if (!place.IsColon) Step(Ops.Raw("slice.Tensor", _view, dimension, place.Start, place.Stop, place.Step ?? 1));
                dimension++;
                break;
            case TensorIndex.Form.NewDimension:
                Step(Ops.Raw("unsqueeze", _view, dimension++));
                break;
            case TensorIndex.Form.Bool:
                Step(Ops.Raw("unsqueeze", _view, dimension));
                Record(OneMask(place.Start != 0), ref dimension);
                break;
            case TensorIndex.Form.Tensor when place.Indices.Dimensions > 0:
                Record(place.Indices, ref dimension);
                break;
            case TensorIndex.Form.Tensor when IsMask(place.Indices):
                Step(Ops.Raw("unsqueeze", _view, dimension));
                Record(OneMask(place.Indices.ToBoolean()), ref dimension);
                break;
            default:
                Step(Ops.Raw("select.int", _view, dimension, place.Indices.ToInt64()));
                break;
        }
    }

    private readonly Tensor OneMask(bool value)
    {
        var mask = new Tensor.Held(Ops.Raw("full", new long[] { 1 }, value, ScalarType.Bool));
        _made.Add(mask);
        return mask;
    }

    // libtorch 1.x takes no int32 indices.
    private readonly Tensor Widened(Tensor indices)
    {
        var widened = new Tensor.Held(Ops.Raw("to.dtype", indices, ScalarType.Int64));
        _made.Add(widened);
        return widened;
    }

    private static bool IsMask(Tensor indices) => indices.dtype is ScalarType.Bool or ScalarType.Byte;

    private void Record(Tensor indices, ref long dimension)
    {
        while (_indices.Count < dimension - _coveredByMasks) _indices.Add(null);
        _indices.Add(indices.dtype is ScalarType.Int32 ? Widened(indices) : indices);
        _hasTensors = true;
        long covered = IsMask(indices) ? indices.Dimensions : 1;
        dimension += covered;
        _coveredByMasks += covered - 1;
    }

    private void Step(RawTensor next)
    {
        _view.Dispose();
        _view = next;
    }

    private static long Covers(in TensorIndex place) => place.Kind switch
    {
        TensorIndex.Form.Single or TensorIndex.Form.Slice => 1,
        TensorIndex.Form.Tensor when IsMask(place.Indices) => place.Indices.Dimensions,
        TensorIndex.Form.Tensor => 1,
        _ => 0,
    };
}
