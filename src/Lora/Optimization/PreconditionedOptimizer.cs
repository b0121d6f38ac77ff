using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.optim;

namespace Lora.Optimization;

/// <summary>An optimizer that gets the gradients of low-rank pairs preconditioned.</summary>
/// <example><c>using var optimizer = new PreconditionedOptimizer(optim.AdamW(lora.TrainableParameters(), lr), lora.Pairs(), new RiemannianPreconditioner());</c></example>
public sealed class PreconditionedOptimizer : Optimizer
{
    private readonly Optimizer _inner;
    private readonly IReadOnlyList<LoraAdapter> _pairs;
    private readonly GradientPreconditioner _preconditioner;

    /// <summary>Wraps an optimizer.</summary>
    /// <param name="inner">The optimizer, which takes the steps and is disposed with this one.</param>
    /// <param name="pairs">The pairs; those without gradients are passed over at each step.</param>
    /// <param name="preconditioner">What happens to the gradients.</param>
    /// <exception cref="ArgumentException">A pair cannot be preconditioned so; every one that cannot is listed.</exception>
    public PreconditionedOptimizer(Optimizer inner, IReadOnlyList<LoraAdapter> pairs, GradientPreconditioner preconditioner)
        : base(IntPtr.Zero)
    {
        ArgumentNullException.ThrowIfNull(inner);
        ArgumentNullException.ThrowIfNull(pairs);
        ArgumentNullException.ThrowIfNull(preconditioner);
        string[] problems = [.. pairs.Select(pair => (pair.AdapterName, Obstacle: preconditioner.Obstacle(pair))).Where(pair => pair.Obstacle is not null).Select(pair => $"\n  - a pair of '{pair.AdapterName}' {pair.Obstacle}").Distinct()];
        if (problems.Length > 0) throw new ArgumentException($"The gradients cannot be preconditioned by {preconditioner.GetType().Name}:{string.Concat(problems)}", nameof(pairs));
        (_inner, _pairs, _preconditioner) = (inner, pairs, preconditioner);
    }

    /// <summary>The optimizer that takes the steps.</summary>
    internal Optimizer Inner => _inner;

    /// <inheritdoc/>
    public override IEnumerable<ILearningRateController> ParamGroups => _inner.ParamGroups;

    /// <inheritdoc/>
    public override IEnumerable<Parameter> parameters() => _inner.parameters();

    /// <inheritdoc/>
    public override void zero_grad() => _inner.zero_grad();

    /// <inheritdoc/>
    public override void add_param_group(ParamGroup param_group) => _inner.add_param_group(param_group);

    /// <summary>Preconditions the gradients in place and lets the optimizer step.</summary>
    /// <param name="closure">Computes the loss anew, with gradients; null where that has been done.</param>
    /// <returns>The loss of the closure, or null.</returns>
    public override Tensor step(Func<Tensor> closure = null!)
    {
        Tensor loss = null!;
        if (closure is not null)
        {
            using IDisposable on = enable_grad();
            loss = closure();
        }
        using (no_grad())
        {
            foreach (LoraAdapter pair in _pairs)
            {
                using var scope = NewDisposeScope();
                Tensor? down = pair.A.grad, up = pair.B.grad;
                _preconditioner.Apply(pair, down?.flatten(1), up?.flatten(1));
            }
        }
        _inner.step();
        return loss;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _inner.Dispose();
        base.Dispose(disposing);
    }
}
