using TorchSharp.Interop;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>
/// One step of Adam or AdamW over the parameters of a group, in PyTorch's order of operations, so that trajectories agree to rounding. Each operation
/// is one native call over many tensors (on CUDA a few kernels); batches are cut by size, to bound the memory of the denominators.
/// </summary>
internal sealed class AdamBatch(
    double lr, double beta1, double beta2, double eps, double weightDecay, bool decoupled, bool amsgrad, bool maximize) : IDisposable
{
    // Elements in a batch. On a CPU the working set of one operation should still be in the cache for the next.
    private const long OnCpu = 1 << 15, OnDevice = 1 << 25;

    private static readonly bool _hasLerp = Ops.Exists("_foreach_lerp_.Scalar"); // since libtorch 2.0

    private readonly List<Tensor> _parameters = [], _gradients = [], _averages = [], _squares = [], _maxima = [];
    private long _step, _elements;
    private ScalarType _type;
    private DeviceType _device;
    private int _index;

    /// <summary>Adds a parameter; the batch disposes the gradient's handle. Runs what came before when they do not fit together.</summary>
    internal void Add(Tensor parameter, Tensor gradient, Tensor average, Tensor square, Tensor maximum, long step)
    {
        Device device = parameter.device;
        if (_parameters.Count > 0 && (step != _step || parameter.dtype != _type || device.type != _device || device.index != _index)) Run();
        (_step, _type, _device, _index) = (step, parameter.dtype, device.type, device.index);
        _parameters.Add(parameter);
        _gradients.Add(gradient);
        _averages.Add(average);
        _squares.Add(square);
        if (amsgrad) _maxima.Add(maximum);
        _elements += parameter.numel();
        if (_elements >= (_device == DeviceType.CPU ? OnCpu : OnDevice)) Run();
    }

    internal void Run()
    {
        if (_parameters.Count == 0) return;
        Tensor[] parameters = [.. _parameters], averages = [.. _averages], squares = [.. _squares], gradients = [.. _gradients], made = [];
        try
        {
            if (maximize) Own(Ops.Tensors("_foreach_neg", gradients));
            if (weightDecay != 0 && decoupled) Ops.Run("_foreach_mul_.Scalar", parameters, 1 - (lr * weightDecay));
            if (weightDecay != 0 && !decoupled) Own(Ops.Tensors("_foreach_add.List", gradients, parameters, weightDecay));
            if (_hasLerp) Ops.Run("_foreach_lerp_.Scalar", averages, gradients, 1 - beta1);
            else for (int i = 0; i < averages.Length; i++) Ops.InPlace("lerp_.Scalar", averages[i], gradients[i], 1 - beta1);
            Ops.Run("_foreach_mul_.Scalar", squares, beta2);
            Each("addcmul_", squares, gradients, gradients, 1 - beta2);
            Update(parameters, averages, squares);
        }
        finally
        {
            Free(made);
            Clear();
        }

        void Own(Tensor[] replaced)
        {
            Free(made);
            gradients = made = replaced;
        }
    }

    private void Update(Tensor[] parameters, Tensor[] averages, Tensor[] squares)
    {
        double correction1 = 1 - Math.Pow(beta1, _step), correction2 = Math.Sqrt(1 - Math.Pow(beta2, _step));
        if (amsgrad)
        {
            for (int i = 0; i < squares.Length; i++) Ops.InPlace("maximum.out", _maxima[i], squares[i], _maxima[i]);
            squares = [.. _maxima];
        }
        Tensor[] denominators = Singly("sqrt") ? Array.ConvertAll(squares, s => Ops.Tensor("sqrt", s)) : Ops.Tensors("_foreach_sqrt", squares);
        try
        {
            Ops.Run("_foreach_div_.Scalar", denominators, correction2);
            Ops.Run("_foreach_add_.Scalar", denominators, eps);
            Each("addcdiv_", parameters, averages, denominators, -(lr / correction1));
        }
        finally
        {
            Free(denominators);
        }
    }

    // A libtorch without the kernel for this type has it one tensor at a time, where Ops widens.
    private bool Singly(string name) => _device == DeviceType.CPU && LowPrecision.Lacks(name, _type);

    private void Each(string name, Tensor[] targets, Tensor[] first, Tensor[] second, double factor)
    {
        if (!Singly(name)) Ops.Run($"_foreach_{name}.Scalar", targets, first, second, factor);
        else for (int i = 0; i < targets.Length; i++) Ops.InPlace(name, targets[i], first[i], second[i], factor);
    }

    private void Clear()
    {
        Free(_gradients);
        _parameters.Clear();
        _gradients.Clear();
        _averages.Clear();
        _squares.Clear();
        _maxima.Clear();
        _elements = 0;
    }

    private static void Free(IEnumerable<Tensor> tensors)
    {
        foreach (Tensor tensor in tensors) tensor.Dispose();
    }

    public void Dispose() => Clear();
}
