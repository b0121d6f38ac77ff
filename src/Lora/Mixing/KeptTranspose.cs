using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Mixing;

/// <summary>
/// A parameter's transposed view without gradient, made once: for a few rows, making it costs as much as the product that needs it. It shares the parameter's
/// memory, so it follows what is written there, and is made anew when another parameter has taken the place.
/// </summary>
internal sealed class KeptTranspose : IDisposable
{
    private Parameter? _of;
    private Tensor? _view;

    internal Tensor Of(Parameter parameter)
    {
        if (_view is not null && ReferenceEquals(_of, parameter)) return _view;
        Dispose();
        using var noGrad = no_grad();
        using Tensor detached = parameter.detach();
        _view = detached.t().DetachFromDisposeScope();
        _of = parameter;
        return _view;
    }

    public void Dispose()
    {
        _view?.Dispose();
        _view = null;
        _of = null;
    }
}
