using TorchSharp.Interop;
using static TorchSharp.torch;
using static TorchSharp.torch.optim;

namespace TorchSharp.Modules;

public partial class SGD : OptimizerHelper, IDisposable, IMomentum
{
    public SGD(
        IEnumerable<Parameter> parameters, double lr, double momentum = 0, double dampening = 0, double weight_decay = 0, bool nesterov = false,
        bool maximize = false)
        : this([new ParamGroup(parameters, new Options())], lr, momentum, dampening, weight_decay, nesterov, maximize)
    {
    }

    public SGD(
        IEnumerable<ParamGroup> parameters, double lr, double momentum = 0, double dampening = 0, double weight_decay = 0, bool nesterov = false,
        bool maximize = false)
    {
        RequireRate(lr);
        _defaults = new Options
        {
            LearningRate = lr,
            InitialLearningRate = lr,
            momentum = momentum,
            dampening = dampening,
            weight_decay = weight_decay,
            nesterov = nesterov,
            maximize = maximize,
        };
        foreach (ParamGroup group in parameters) add_param_group(group);
    }

    public double Momentum
    {
        get => ((Options)_defaults).momentum.Value;
        set
        {
            ((Options)_defaults).momentum = value;
            foreach (ParamGroup group in _parameter_groups.OfType<ParamGroup>()) group.Momentum = value;
        }
    }

    public override Tensor step(Func<Tensor> closure = null) => _step<ParamGroup>(Step, closure);

    public override void add_param_group(Modules.ParamGroup param_group)
    {
        var defaults = (Options)_defaults;
        param_group.Options ??= new Options();
        var options = (Options)param_group.Options;
        options.momentum ??= defaults.momentum;
        options.dampening ??= defaults.dampening;
        options.weight_decay ??= defaults.weight_decay;
        options.nesterov ??= defaults.nesterov;
        options.maximize ??= defaults.maximize;
        AddGroup(param_group, p => new State(p));
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) DisposeStates();
        base.Dispose(disposing);
    }

    private void Step(ParamGroup group)
    {
        foreach (Parameter parameter in group.Parameters)
        {
            var state = (State)StateOf(parameter);
            using Tensor gradient = parameter.grad;
            if (gradient is not null) Update(parameter, gradient, state, group.Options);
        }
    }

    // The gradient itself stays as it is: the user may read it after the step. As in the package maximizing goes against the decay too.
    private static void Update(Parameter parameter, Tensor gradient, State state, Options o)
    {
        double rate = o.maximize == true ? o.LearningRate.Value : -o.LearningRate.Value;
        using Tensor decayed = o.weight_decay == 0 ? null : Ops.Tensor("add.Tensor", gradient, parameter, o.weight_decay);
        Tensor change = decayed ?? gradient;
        if (o.momentum == 0)
        {
            Ops.InPlace("add_.Tensor", parameter, change, rate);
            return;
        }
        if (state.momentum_buffer is null)
        {
            state.momentum_buffer = Ops.Tensor("clone", change).DetachFromDisposeScope();
        }
        else
        {
            Ops.InPlace("mul_.Scalar", state.momentum_buffer, o.momentum);
            Ops.InPlace("add_.Tensor", state.momentum_buffer, change, 1 - o.dampening);
        }
        using Tensor ahead = o.nesterov == true ? Ops.Tensor("add.Tensor", change, state.momentum_buffer, o.momentum) : null;
        Ops.InPlace("add_.Tensor", parameter, ahead ?? state.momentum_buffer, rate);
    }
}
