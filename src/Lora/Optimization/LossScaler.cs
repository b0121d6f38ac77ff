using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Optimization;

/// <summary>
/// Dynamic loss scaling for models in float16 (Micikevicius et al. 2018, "Mixed Precision Training"): the loss is multiplied by a large number, so that gradients do not vanish in float16, and
/// the gradients of the parameters are divided by it. A step whose gradients overflow is left out and the scale falls; after many good steps it rises.
/// </summary>
/// <remarks>
/// The parameters that train have to be float32, as adapters over a float16 model are by default. A model in bfloat16 needs no scaling. The rule and its numbers are those of PyTorch's
/// <c>GradScaler</c>.
/// </remarks>
/// <example><code>
/// scaler.Scaled(loss).backward();
/// scaler.Unscale(parameters);
/// nn.utils.clip_grad_norm_(parameters, 1);
/// scaler.Step(optimizer);
/// </code></example>
public sealed class LossScaler
{
    private readonly double _growth, _backoff;
    private readonly int _interval;
    private bool? _finite;

    /// <summary>Creates a scaler.</summary>
    /// <param name="scale">The scale to begin with.</param>
    /// <param name="growth">What the scale is multiplied by after <paramref name="interval"/> good steps in a row.</param>
    /// <param name="backoff">What it is multiplied by after a step that overflowed.</param>
    /// <param name="interval">The number of good steps in a row.</param>
    /// <exception cref="ArgumentOutOfRangeException">The scale is not positive and finite, growth not above 1, backoff not between 0 and 1, or the interval not positive.</exception>
    public LossScaler(double scale = 65536, double growth = 2, double backoff = 0.5, int interval = 2000)
    {
        if (!(growth > 1 && double.IsFinite(growth))) throw new ArgumentOutOfRangeException(nameof(growth), growth, "The growth must be above 1.");
        if (backoff is not (> 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(backoff), backoff, "The backoff must be between 0 and 1.");
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(interval);
        (_growth, _backoff, _interval) = (growth, backoff, interval);
        State = new LossScalerState(scale, 0);
    }

    /// <summary>What the loss is multiplied by at the moment.</summary>
    public double Scale => State.Scale;

    /// <summary>What a training that is stopped has to save, to go on the same.</summary>
    /// <exception cref="ArgumentException">The scale is not positive and finite, or the number of steps negative.</exception>
    public LossScalerState State
    {
        get;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            if (!(value.Scale > 0 && value.Scale <= float.MaxValue) || value.GoodSteps < 0)
                throw new ArgumentException(FormattableString.Invariant($"A scale must be above 0 and a number of float32, and a number of steps at least 0, but they are {value.Scale} and {value.GoodSteps}."), nameof(value));
            field = value;
        }
    }

    /// <summary>Multiplies the loss. Several losses of one step can be scaled and their gradients added.</summary>
    /// <param name="loss">The loss.</param>
    /// <returns>A new tensor in the current dispose scope, to call <c>backward</c> on.</returns>
    public Tensor Scaled(Tensor loss)
    {
        ArgumentNullException.ThrowIfNull(loss);
        using TorchSharp.Scalar scale = Scale;
        return loss.mul(scale);
    }

    /// <summary>Divides the gradients, in place, so that they can be clipped.</summary>
    /// <param name="parameters">All parameters that are trained; those without a gradient are passed over.</param>
    /// <returns>Whether all gradients are finite, so that <see cref="Step"/> will take the step.</returns>
    /// <exception cref="ArgumentException">A gradient is float16, in which it would vanish.</exception>
    /// <exception cref="InvalidOperationException">The gradients of this step have been divided already.</exception>
    public bool Unscale(IEnumerable<Parameter> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        if (_finite is not null) throw new InvalidOperationException($"The gradients of this step have been divided already: call {nameof(Step)} first.");
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor[] gradients = [.. parameters.Select(parameter => parameter.grad).OfType<Tensor>()];
        if (gradients.Count(gradient => gradient.dtype == ScalarType.Float16) is int half and > 0)
            throw new ArgumentException($"{half} of {gradients.Length} gradients are float16, where they vanish without the scale: train parameters of float32, as adapters are by default.", nameof(parameters));
        using TorchSharp.Scalar by = 1 / Scale;
        // A number that is not finite shows in the sum, and the sums are looked at once: on a GPU each look waits for all that runs.
        Tensor[] sums = [.. gradients.Select(gradient => gradient.mul_(by).sum().to(ScalarType.Float32, gradients[0].device))];
        _finite = sums.Length == 0 || stack(sums).isfinite().all().item<bool>();
        return _finite.Value;
    }

    /// <summary>Takes the optimizer's step, unless a gradient is not finite, and changes the scale by what happened.</summary>
    /// <param name="optimizer">The optimizer over the parameters.</param>
    /// <returns>Whether the step was taken.</returns>
    /// <exception cref="InvalidOperationException">The gradients have not been divided.</exception>
    public bool Step(optim.Optimizer optimizer)
    {
        ArgumentNullException.ThrowIfNull(optimizer);
        bool finite = _finite ?? throw new InvalidOperationException($"The gradients are still multiplied by {FormattableString.Invariant($"{Scale}")}: call {nameof(Unscale)} first.");
        _finite = null;
        if (finite) optimizer.step();
        if (!finite) State = new LossScalerState(Math.Max(Scale * _backoff, float.Epsilon), 0);
        else if (State.GoodSteps + 1 < _interval) State = State with { GoodSteps = State.GoodSteps + 1 };
        else State = new LossScalerState(Math.Min(Scale * _growth, float.MaxValue), 0);
        return finite;
    }
}

/// <summary>Where a <see cref="LossScaler"/> has come to.</summary>
/// <param name="Scale">What the loss is multiplied by.</param>
/// <param name="GoodSteps">The steps in a row without overflow since the scale last changed.</param>
public sealed record LossScalerState(double Scale, int GoodSteps);
