using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>The state of a model while data runs through it: all modules in one mode, gradients off or for the weights of some layers only. Disposing it restores everything.</summary>
internal sealed class CalibrationScope : IDisposable
{
    private readonly (nn.Module Module, bool Training)[] _modes;
    private readonly (Parameter Parameter, bool Required)[] _parameters;
    private readonly IDisposable _gradients;

    /// <param name="model">The model.</param>
    /// <param name="train">Whether it trains.</param>
    /// <param name="wanted">The parameters that get gradients; none where gradients are off.</param>
    internal CalibrationScope(nn.Module model, bool train, IEnumerable<Parameter> wanted)
    {
        _modes = [.. model.modules().Prepend(model).Select(module => (module, module.training))];
        HashSet<nint> chosen = [.. wanted.Select(parameter => parameter.Handle)];
        _parameters = chosen.Count == 0 ? [] : [.. model.parameters().Select(parameter => (parameter, parameter.requires_grad))];
        foreach ((Parameter parameter, _) in _parameters) parameter.requires_grad = chosen.Contains(parameter.Handle);
        model.train(train);
        _gradients = chosen.Count == 0 ? no_grad() : enable_grad();
    }

    public void Dispose()
    {
        _gradients.Dispose();
        // Parents come first, and a module's mode is its children's too until they get their own.
        foreach ((nn.Module module, bool training) in _modes) module.train(training);
        foreach ((Parameter parameter, bool required) in _parameters) parameter.requires_grad = required;
    }
}
