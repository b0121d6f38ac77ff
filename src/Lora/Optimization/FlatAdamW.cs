using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.optim;

namespace Lora.Optimization;

/// <summary>
/// AdamW (Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization") whose parameters, gradients and moments are each one contiguous tensor: the arithmetic of
/// a step is a constant number of operations, however many layers there are. The numbers are those of TorchSharp's <see cref="TorchSharp.Modules.AdamW"/>.
/// </summary>
/// <remarks>
/// <para>The parameters become pieces of one tensor while the optimizer lives, and get tensors of their own again when it is disposed. A parameter without a gradient counts as one whose
/// gradient is zero, where <see cref="TorchSharp.Modules.AdamW"/> passes it over. Moving the model makes new parameters: build the optimizer after the move.</para>
/// </remarks>
public sealed partial class FlatAdamW : Optimizer, ISavableOptimizer
{
    private readonly List<Segment> _segments = [];
    private readonly List<FlatBuffer> _buffers = [];
    private readonly double _beta1, _beta2, _eps;

    /// <summary>Creates an optimizer over groups with learning rates and weight decays of their own.</summary>
    /// <param name="groups">The groups, such as those of <see cref="LoraModel{TModel}.ParameterGroups"/>.</param>
    /// <param name="beta1">The decay of the mean of gradients.</param>
    /// <param name="beta2">The decay of the mean of their squares.</param>
    /// <param name="eps">What is added to the denominator.</param>
    /// <exception cref="ArgumentException">There is no parameter, or one is there twice.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A setting is out of range.</exception>
    public FlatAdamW(IReadOnlyList<ParameterGroup> groups, double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-8)
        : base(IntPtr.Zero)
    {
        ArgumentNullException.ThrowIfNull(groups);
        if (beta1 is not (>= 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(beta1), beta1, "A beta must be at least 0 and below 1.");
        if (beta2 is not (>= 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(beta2), beta2, "A beta must be at least 0 and below 1.");
        if (!(eps >= 0)) throw new ArgumentOutOfRangeException(nameof(eps), eps, "Eps must be at least 0.");
        (_beta1, _beta2, _eps) = (beta1, beta2, eps);
        Parameter[] all = [.. groups.SelectMany(group => group.Parameters)];
        if (all.Length == 0) throw new ArgumentException("There is no parameter to train.", nameof(groups));
        if (all.Select(parameter => parameter.Handle).Distinct().Count() < all.Length) throw new ArgumentException("A parameter is there twice.", nameof(groups));
        // One buffer for each type and device, in it each group's parameters side by side.
        foreach (var kind in groups.SelectMany(group => group.Parameters.Select(parameter => (Group: group, Parameter: parameter))).GroupBy(pair => (pair.Parameter.dtype, pair.Parameter.device.ToString())))
        {
            (ParameterGroup Group, Parameter Parameter)[] members = [.. kind];
            var buffer = new FlatBuffer([.. members.Select(member => member.Parameter)]);
            _buffers.Add(buffer);
            for (int first = 0, next; first < members.Length; first = next)
            {
                next = first + 1;
                while (next < members.Length && ReferenceEquals(members[next].Group, members[first].Group)) next++;
                _segments.Add(new Segment(members[first].Group, members[first..next].Select(member => member.Parameter), buffer, buffer.Range(first, next - 1), 1 - beta1));
            }
        }
    }

    /// <summary>Creates an optimizer over parameters that are all trained alike.</summary>
    /// <param name="parameters">The parameters.</param>
    /// <param name="lr">The learning rate.</param>
    /// <param name="beta1">The decay of the mean of gradients.</param>
    /// <param name="beta2">The decay of the mean of their squares.</param>
    /// <param name="eps">What is added to the denominator.</param>
    /// <param name="weightDecay">The weight decay.</param>
    /// <exception cref="ArgumentException">There is no parameter, or one is there twice.</exception>
    public FlatAdamW(IEnumerable<Parameter> parameters, double lr = 1e-3, double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-8, double weightDecay = 0)
        : this([new ParameterGroup(ParameterRole.Full, [.. parameters], lr, weightDecay)], beta1, beta2, eps)
    {
    }

    /// <summary>How many steps have been taken, those of before a loaded state included.</summary>
    public long StepCount { get; private set; }

    /// <inheritdoc/>
    public override IEnumerable<ILearningRateController> ParamGroups => _segments;

    /// <inheritdoc/>
    public override IEnumerable<Parameter> parameters() => _segments.Select(segment => segment.Group).Distinct().SelectMany(group => group.Parameters);

    /// <summary>Not defined: the buffer is of the size that it has.</summary>
    /// <param name="param_group">Not used.</param>
    /// <exception cref="InvalidOperationException">Always.</exception>
    public override void add_param_group(ParamGroup param_group) =>
        throw new InvalidOperationException($"A {nameof(FlatAdamW)} holds the parameters that it was made with: make a new one with all groups.");

    /// <summary>Sets all gradients to zero, by one operation for each type and device.</summary>
    public override void zero_grad()
    {
        using var noGrad = no_grad();
        foreach (FlatBuffer buffer in _buffers)
        {
            buffer.Rebind();
            buffer.Gradients.zero_();
        }
    }

    /// <summary>Divides all gradients by a common factor where their norm is larger than allowed.</summary>
    /// <param name="maximum">The largest norm.</param>
    /// <returns>The norm of before.</returns>
    public double ClipGradientNorm(double maximum)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        double sum = 0;
        foreach (FlatBuffer buffer in _buffers)
        {
            buffer.Collect();
            // A norm of half precision would be rounded to it.
            double norm = (buffer.Gradients.element_size() < 4 ? buffer.Gradients.to(ScalarType.Float32) : buffer.Gradients).norm().ToDouble();
            sum += norm * norm;
        }
        double total = Math.Sqrt(sum);
        double factor = maximum / (total + 1e-6);
        if (factor < 1) foreach (FlatBuffer buffer in _buffers) buffer.Gradients.mul_(factor);
        return total;
    }

    /// <summary>Takes a step.</summary>
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
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (FlatBuffer buffer in _buffers) buffer.Collect();
        StepCount++;
        // Held here: TorchSharp lets a number that was converted on the fly be collected while libtorch still reads it.
        using Scalar squareKept = _beta2, squarePart = 1 - _beta2;
        double correction = 1 - Math.Pow(_beta1, StepCount), root = Math.Sqrt(1 - Math.Pow(_beta2, StepCount));
        foreach (Segment segment in _segments)
        {
            (Tensor values, Tensor gradients) = segment.Pieces();
            if (segment.Group.WeightDecay != 0) values.mul_(1 - (segment.LearningRate * segment.Group.WeightDecay));
            segment.Mean.lerp_(gradients, segment.MeanPart);
            segment.Square.mul_(squareKept).addcmul_(gradients, gradients, squarePart);
            Tensor denominator = segment.Square.sqrt().div_(root).add_(_eps);
            values.addcdiv_(segment.Mean, denominator, -segment.LearningRate / correction);
        }
        return loss;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (Segment segment in _segments) segment.Dispose();
            foreach (FlatBuffer buffer in _buffers) buffer.Dispose();
        }
        base.Dispose(disposing);
    }

    /// <summary>The parameters of one group in one buffer, with their moments.</summary>
    private sealed class Segment : ILearningRateController, IDisposable
    {
        private readonly FlatBuffer _buffer;
        private readonly (long Start, long Length) _range;

        internal Segment(ParameterGroup group, IEnumerable<Parameter> parameters, FlatBuffer buffer, (long Start, long Length) range, double meanPart)
        {
            (Group, _buffer, _range, Parameters) = (group, buffer, range, [.. parameters]);
            InitialLearningRate = LearningRate = group.LearningRate;
            using var noGrad = no_grad();
            Mean = zeros(range.Length, dtype: buffer.Values.dtype, device: buffer.Values.device).DetachFromDisposeScope();
            Square = zeros_like(Mean).DetachFromDisposeScope();
            MeanPart = full([], meanPart, dtype: buffer.Values.dtype, device: buffer.Values.device).DetachFromDisposeScope();
        }

        public double LearningRate { get; set; }

        public double InitialLearningRate { get; set; }

        internal ParameterGroup Group { get; }

        /// <summary>Those of the group that lie in the buffer, one behind the other.</summary>
        internal IReadOnlyList<Parameter> Parameters { get; }

        internal Tensor Mean { get; }

        internal Tensor Square { get; }

        // TorchSharp's lerp_ takes a tensor.
        internal Tensor MeanPart { get; }

        internal (Tensor Values, Tensor Gradients) Pieces() => (_buffer.Values.narrow(0, _range.Start, _range.Length), _buffer.Gradients.narrow(0, _range.Start, _range.Length));

        public void Dispose()
        {
            Mean.Dispose();
            Square.Dispose();
            MeanPart.Dispose();
        }
    }
}
