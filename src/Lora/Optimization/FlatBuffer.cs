using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Optimization;

/// <summary>Parameters of one type on one device whose values are pieces of one tensor, and their gradients pieces of another.</summary>
internal sealed class FlatBuffer : IDisposable
{
    // No piece begins where a tensor of its own would, at 0: so a gradient that is no piece any more is known by its offset.
    private const long Lead = 16;

    private readonly Parameter[] _parameters;
    private readonly long[] _offsets;

    /// <summary>Moves the parameters' values into one tensor. They stay the parameters that they are.</summary>
    internal FlatBuffer(IReadOnlyList<Parameter> parameters)
    {
        _parameters = [.. parameters];
        _offsets = new long[_parameters.Length];
        long length = Lead;
        for (int i = 0; i < _parameters.Length; i++)
        {
            _offsets[i] = length;
            length += _parameters[i].numel();
        }
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Values = zeros(length, dtype: _parameters[0].dtype, device: _parameters[0].device).DetachFromDisposeScope();
        Gradients = zeros_like(Values).DetachFromDisposeScope();
        for (int i = 0; i < _parameters.Length; i++)
        {
            Tensor piece = Piece(Values, i);
            piece.copy_(_parameters[i]);
            _parameters[i].set_(piece);
            BindGradient(i);
        }
    }

    internal Tensor Values { get; }

    internal Tensor Gradients { get; }

    /// <summary>A range of the buffer from one parameter to another, the latter included.</summary>
    internal (long Start, long Length) Range(int first, int last) => (_offsets[first], _offsets[last] + _parameters[last].numel() - _offsets[first]);

    /// <summary>Takes gradients in that are no pieces of the buffer, since somebody set them anew.</summary>
    internal void Collect() => Rebind(keep: true);

    /// <summary>Makes gradients pieces of the buffer again where somebody set them anew, whose numbers are about to be zero.</summary>
    internal void Rebind() => Rebind(keep: false);

    private void Rebind(bool keep)
    {
        using var noGrad = no_grad();
        for (int i = 0; i < _parameters.Length; i++)
        {
            using Tensor? gradient = _parameters[i].grad;
            if (gradient is not null && gradient.storage_offset() == _offsets[i]) continue;
            using var scope = NewDisposeScope();
            if (keep && gradient is null) Piece(Gradients, i).zero_();
            else if (keep) Piece(Gradients, i).copy_(gradient!);
            BindGradient(i);
        }
    }

    /// <summary>Gives the parameters tensors of their own again.</summary>
    public void Dispose()
    {
        using (no_grad())
        using (NewDisposeScope())
        {
            foreach (Parameter parameter in _parameters.Where(parameter => !parameter.IsInvalid))
            {
                parameter.grad = null;
                parameter.set_(parameter.detach().clone());
            }
        }
        Values.Dispose();
        Gradients.Dispose();
    }

    private Tensor Piece(Tensor buffer, int i) => buffer.narrow(0, _offsets[i], _parameters[i].numel()).view(_parameters[i].shape);

    private void BindGradient(int i) => _parameters[i].grad = Piece(Gradients, i);
}
