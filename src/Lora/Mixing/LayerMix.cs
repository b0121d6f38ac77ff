using Lora.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Mixing;

/// <summary>One layer's part in a batch of several adapters: which of them work on which rows. Rows without one keep the base layer's output.</summary>
internal sealed class LayerMix
{
    private readonly string _path;
    private readonly BatchAdapters _batch;
    private readonly RowSelection? _selection;
    private readonly LoraAdapter[] _adapters;

    /// <param name="path">The layer's path.</param>
    /// <param name="batch">Which adapter each row uses.</param>
    /// <param name="selection">The rows that the layer has adapters for; null for none.</param>
    /// <param name="adapters">The adapter of each group of rows in the selection.</param>
    internal LayerMix(string path, BatchAdapters batch, RowSelection? selection, LoraAdapter[] adapters)
    {
        _path = path;
        _batch = batch;
        _selection = selection;
        _adapters = adapters;
    }

    /// <summary>Whether the batch has as many rows as adapters were named for.</summary>
    internal bool Fits(Tensor input) => _batch.Fits(input);

    /// <summary>What to throw where it has not.</summary>
    internal InvalidOperationException Misfit(Tensor input) => _batch.Misfit(_path, input);

    /// <summary>Adds to each row the term of its own adapter.</summary>
    /// <param name="output">The base layer's output.</param>
    /// <param name="input">The base layer's input, which fits: its first dimension is the batch.</param>
    /// <param name="mayOverwrite">Whether nobody else has the output.</param>
    /// <returns>The sum in the output's type: a new tensor, or the output itself, written over; null where no row has an adapter on this layer.</returns>
    internal Tensor? Add(Tensor output, Tensor input, bool mayOverwrite)
    {
        if (_selection is null) return null;
        using var scope = NewDisposeScope();
        ScalarType wide = Wider(output.dtype, _adapters[0].A.dtype);
        Tensor sum = output.dtype == wide ? output : output.to(wide);
        bool inPlace = !is_grad_enabled() && (mayOverwrite || !ReferenceEquals(sum, output));
        sum = _adapters[0].Mixing.Add(sum, input, _selection, _adapters, inPlace);
        if (sum.dtype != output.dtype) sum = sum.to(output.dtype);
        return ReferenceEquals(sum, output) ? output : sum.MoveToOuterDisposeScope();
    }

    private static ScalarType Wider(ScalarType a, ScalarType b)
    {
        if (a == b) return a;
        return a == ScalarType.Float64 || b == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
    }
}
