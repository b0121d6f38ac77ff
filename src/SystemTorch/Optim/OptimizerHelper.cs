using System.Globalization;
using TorchSharp.Interop;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.optim;

namespace TorchSharp.Modules;

/// <summary>The base of the optimizers: groups with options, and a state for every parameter, found by its handle.</summary>
public abstract partial class OptimizerHelper : Optimizer, IDisposable
{
    protected OptimizerOptions _defaults;
    protected OrderedDict<IntPtr, OptimizerState> _state = new();

    public OptimizerHelper()
        : base(IntPtr.Zero) => _parameter_groups = [];

    public override IEnumerable<Parameter> parameters() => _parameter_groups.SelectMany(g => g.Parameters);

    /// <summary>Sets the gradients that exist to zero; none becomes null, so decay and momentum go on.</summary>
    public override void zero_grad()
    {
        using IDisposable _ = no_grad();
        var gradients = new List<Tensor>();
        try
        {
            foreach (ParamGroup group in _parameter_groups)
            {
                foreach (Parameter parameter in group.Parameters)
                    if (parameter.grad is Tensor gradient) gradients.Add(gradient);
            }
            if (gradients.Count > 0) Ops.Run("_foreach_zero_", gradients.ToArray());
        }
        finally
        {
            gradients.ForEach(g => g.Dispose());
        }
    }

    public override void add_param_group(ParamGroup param_group) => _parameter_groups.Add(param_group);

    public void to(Device device)
    {
        foreach (OptimizerState state in _state.Values) state.to(device);
    }

    protected Tensor _step<T>(Action<T> body, Func<Tensor> loss_closure = null)
        where T : ParamGroup
    {
        Tensor loss = null;
        if (loss_closure is not null)
        {
            using IDisposable on = enable_grad();
            loss = loss_closure();
        }
        using IDisposable off = no_grad();
        foreach (ParamGroup group in _parameter_groups) body((T)group);
        return loss;
    }

    /// <summary>Adds a group whose options are complete, and a state for every parameter of it.</summary>
    private protected void AddGroup(ParamGroup group, Func<Parameter, OptimizerState> state)
    {
        group.Options.LearningRate ??= _defaults.LearningRate;
        group.Options.InitialLearningRate = group.Options.LearningRate.Value;
        _parameter_groups.Add(group);
        foreach (Parameter parameter in group.Parameters)
        {
            OptimizerState made = state(parameter);
            made.Initialize(group.Options);
            if (_state.TryGetValue(parameter.Handle, out OptimizerState before)) (before as IDisposable)?.Dispose();
            _state[parameter.Handle] = made;
        }
    }

    /// <summary>Asked for before the gradient: a parameter that the optimizer does not know, or that a conversion replaced, is an error even without one.</summary>
    private protected OptimizerState StateOf(Parameter parameter) => _state[parameter.IsInvalid ? IntPtr.Zero : parameter.Handle];

    private protected static void RequireRate(double lr)
    {
        if (lr < 0) throw new ArgumentException($"Invalid learning rate: {lr.ToString(CultureInfo.InvariantCulture)}");
    }

    private protected void DisposeStates()
    {
        foreach (OptimizerState state in _state.Values) (state as IDisposable)?.Dispose();
        _state.clear();
    }
}
