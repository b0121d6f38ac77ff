using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>
/// A tensor that can stand in the place of a model's. The two are different objects all the time, so that a backward pass or an optimizer step that comes
/// after an exchange reaches the one that was used.
/// </summary>
/// <typeparam name="TTensor">A parameter, or a tensor for a buffer.</typeparam>
/// <param name="place">The place.</param>
/// <param name="key">The key in PEFT's file, without the prefix.</param>
/// <param name="claim">The path of the tensor in the model.</param>
internal sealed class Replacement<TTensor>(TensorPlace<TTensor> place, string key, string claim) : IDisposable
    where TTensor : Tensor
{
    // What is not in the place: ours at first, the model's while ours is there.
    private TTensor _aside = CopyOf(place);
    private bool _isUsed;

    internal string Key { get; } = key;

    internal string Claim { get; } = claim;

    /// <summary>Ours, on the device and in the type of what it takes the place of.</summary>
    internal TTensor Own => _isUsed ? place.Current ?? _aside : Aside;

    /// <summary>What is not in the place.</summary>
    internal TTensor Aside => place.Current is TTensor current ? _aside = Like(current, _aside) : _aside;

    internal void Exchange()
    {
        _isUsed = !_isUsed;
        // A disposed module has taken what was in it along.
        if (place.Current is not TTensor current) return;
        TTensor next = Like(current, _aside);
        place.Set(next);
        _aside = current;
    }

    /// <summary>Leaves in the place what is there.</summary>
    internal void Keep()
    {
        if (place.Current is TTensor { requires_grad: true } current) current.requires_grad = false;
        _aside.Dispose();
    }

    public void Dispose() => _aside.Dispose();

    private static TTensor CopyOf(TensorPlace<TTensor> place)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        TTensor copy = place.Make(place.Current!.detach().clone(), requiresGrad: false);
        copy.DetachFromDisposeScope();
        return copy;
    }

    // Moving a model does not reach what it does not list.
    private TTensor Like(TTensor model, TTensor tensor)
    {
        if (tensor.dtype == model.dtype && tensor.device_type == model.device_type && tensor.device_index == model.device_index) return tensor;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        TTensor moved = place.Make(tensor.detach().to(model.dtype, model.device), tensor.requires_grad);
        moved.DetachFromDisposeScope();
        tensor.Dispose();
        return moved;
    }
}
