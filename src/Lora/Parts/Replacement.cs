using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>
/// A parameter that can stand in the place of a model's. The two are different objects all the time, so that a backward pass or an optimizer step that comes
/// after an exchange reaches the one that was used.
/// </summary>
/// <param name="place">The place.</param>
/// <param name="key">The key in PEFT's file, without the prefix.</param>
/// <param name="claim">The path of the parameter in the model.</param>
internal sealed class Replacement(ParameterPlace place, string key, string claim) : IDisposable
{
    // What is not in the place: ours at first, the model's while ours is there.
    private Parameter _aside = CopyOf(place.Current!);
    private bool _isUsed;

    internal string Key { get; } = key;

    internal string Claim { get; } = claim;

    /// <summary>Ours, on the device and in the type of what it takes the place of.</summary>
    internal Parameter Own => _isUsed ? place.Current ?? _aside : Aside;

    /// <summary>What is not in the place.</summary>
    internal Parameter Aside => place.Current is Parameter current ? _aside = Like(current, _aside) : _aside;

    internal void Exchange()
    {
        _isUsed = !_isUsed;
        // A disposed module has taken what was in it along.
        if (place.Current is not Parameter current) return;
        Parameter next = Like(current, _aside);
        place.Set(next);
        _aside = current;
    }

    /// <summary>Leaves in the place what is there.</summary>
    internal void Keep()
    {
        if (place.Current is Parameter current) current.requires_grad = false;
        _aside.Dispose();
    }

    public void Dispose() => _aside.Dispose();

    private static Parameter CopyOf(Parameter parameter)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var copy = new Parameter(parameter.detach().clone(), requires_grad: false);
        copy.DetachFromDisposeScope();
        return copy;
    }

    // Moving a model does not reach what it does not list.
    private static Parameter Like(Parameter model, Parameter parameter)
    {
        if (parameter.dtype == model.dtype && parameter.device_type == model.device_type && parameter.device_index == model.device_index) return parameter;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var moved = new Parameter(parameter.detach().to(model.dtype, model.device), parameter.requires_grad);
        moved.DetachFromDisposeScope();
        parameter.Dispose();
        return moved;
    }
}
