using TorchSharp.Interop;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>What batch and instance norms share: scale and shift, and the running statistics as buffers.</summary>
public abstract class NormBase : nn.Module<Tensor, Tensor>
{
    private Parameter _weight;
    private Parameter _bias;
    private Tensor _runningMean;
    private Tensor _runningVar;
    private Tensor _batches;

    public NormBase(
        long num_features, double eps, double? momentum, bool affine, bool track_running_stats, Device device, ScalarType? dtype, string name)
        : base(name)
    {
        this.num_features = num_features;
        this.eps = eps;
        this.momentum = momentum;
        this.affine = affine;
        this.track_running_stats = track_running_stats;
        long[] shape = [num_features];
        if (affine)
        {
            weight = new Parameter(Initial.Full(shape, 1, device, dtype));
            bias = new Parameter(Initial.Full(shape, 0, device, dtype));
        }
        if (track_running_stats)
        {
            running_mean = Initial.Full(shape, 0, device, dtype);
            running_var = Initial.Full(shape, 1, device, dtype);
            num_batches_tracked = Initial.Full([], 0, device, ScalarType.Int64);
        }
    }

    public long num_features { get; }

    public double eps { get; set; }

    public double? momentum { get; set; }

    public bool affine { get; }

    public bool track_running_stats { get; }

    public Parameter weight
    {
        get => _weight;
        set => SetWeight(ref _weight, value);
    }

    public Parameter bias
    {
        get => _bias;
        set => SetBias(ref _bias, value);
    }

    public Tensor running_mean
    {
        get => _runningMean;
        set => SetBuffer(ref _runningMean, "running_mean", value);
    }

    public Tensor running_var
    {
        get => _runningVar;
        set => SetBuffer(ref _runningVar, "running_var", value);
    }

    public Tensor num_batches_tracked
    {
        get => _batches;
        set => SetBuffer(ref _batches, "num_batches_tracked", value);
    }

    public void reset_running_stats()
    {
        if (_runningMean is null) return;
        nn.init.zeros_(_runningMean);
        nn.init.ones_(_runningVar);
        nn.init.zeros_(_batches);
    }

    public void reset_parameters()
    {
        reset_running_stats();
        if (_weight is not null) nn.init.ones_(_weight);
        if (_bias is not null) nn.init.zeros_(_bias);
    }

    protected abstract void ValidateInputDimensions(Tensor input);

    protected internal override nn.Module _to(Device device, ScalarType dtype, bool non_blocking) => Convert(dtype, device);

    protected internal override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking) => Convert(null, new Device(deviceType, deviceIndex));

    protected internal override nn.Module _to(ScalarType dtype, bool non_blocking) => Convert(dtype, null);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _weight?.Dispose();
            _bias?.Dispose();
            _runningMean?.Dispose();
            _runningVar?.Dispose();
            _batches?.Dispose();
        }
        base.Dispose(disposing);
    }

    private NormBase Convert(ScalarType? dtype, Device device)
    {
        if (_weight is not null && ReplaceParameter(dtype, device, _weight, out Parameter w)) weight = w;
        if (_bias is not null && ReplaceParameter(dtype, device, _bias, out Parameter b)) bias = b;
        if (_runningMean is not null && ReplaceBuffer(dtype, device, _runningMean, out Tensor mean)) running_mean = mean;
        if (_runningVar is not null && ReplaceBuffer(dtype, device, _runningVar, out Tensor variance)) running_var = variance;
        if (_batches is not null && ReplaceBuffer(dtype, device, _batches, out Tensor count)) num_batches_tracked = count;
        Believe(device);
        return this;
    }

    private void SetBuffer(ref Tensor field, string key, Tensor value)
    {
        if (ReferenceEquals(field, value)) return;
        field?.Dispose();
        field = value.Own();
        ConditionallyRegisterBuffer(key, field);
    }
}
