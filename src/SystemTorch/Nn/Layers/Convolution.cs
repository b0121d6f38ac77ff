using TorchSharp.Utils;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

public abstract class Convolution : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")]
    protected Parameter _weight;

    [ComponentName(Name = "bias")]
    protected Parameter _bias;

    // As functional.pad takes it, from the last dimension to the first, for the padding modes that are not part of the operator.
    protected long[] _reversed_padding_repeated_twice;

    protected Convolution(
        string name, long in_channels, long out_channels, long[] kernel_size, long[] stride, long[] padding, Padding? padding_type, long[] dilation,
        bool transposed, long[] output_padding, long groups, bool bias, PaddingModes padding_mode, Device device = null, ScalarType? dtype = null)
        : base(name)
    {
        if (groups <= 0) throw new ArgumentException("groups must be a positive integer.");
        if (in_channels % groups != 0) throw new ArgumentException("in_channels must be divisible by groups.");
        if (out_channels % groups != 0) throw new ArgumentException("out_channels must be divisible by groups.");
        if (padding_type == Padding.Same && stride.Any(s => s != 1)) throw new ArgumentException("padding='same' is not supported for strided convolutions.");

        this.in_channels = in_channels;
        this.out_channels = out_channels;
        this.kernel_size = kernel_size;
        this.stride = stride;
        this.dilation = dilation;
        this.transposed = transposed;
        this.output_padding = output_padding;
        this.groups = groups;
        this.padding_mode = padding_mode;
        if (padding_type is Padding type) SetPadding(type);
        else SetPadding(padding);

        long[] shape = transposed ? [in_channels, out_channels / groups, .. kernel_size] : [out_channels, in_channels / groups, .. kernel_size];
        long fanIn = shape[1];
        foreach (long size in kernel_size) fanIn *= size;
        _weight = new Parameter(Initial.KaimingUniform(shape, fanIn, device, dtype)).Own();
        if (bias) _bias = new Parameter(Initial.KaimingUniform([out_channels], fanIn, device, dtype)).Own();
        RegisterComponents();
    }

    public long in_channels { get; }

    public long out_channels { get; }

    public long[] kernel_size { get; set; }

    public long[] stride { get; set; }

    public long[] padding { get; private set; }

    public Padding? padding_type { get; private set; }

    public long[] dilation { get; set; }

    public bool transposed { get; }

    public long[] output_padding { get; set; }

    public long groups { get; set; }

    public PaddingModes padding_mode { get; set; }

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

    public void SetPadding(long[] padding)
    {
        this.padding = padding;
        padding_type = null;
        _reversed_padding_repeated_twice = [.. padding.Reverse().SelectMany(p => new[] { p, p })];
    }

    public void SetPadding(Padding padding)
    {
        this.padding = null;
        padding_type = padding;
        // What "same" adds on both sides; an odd one goes to the end.
        _reversed_padding_repeated_twice = [.. kernel_size.Zip(dilation).Reverse().SelectMany(dimension =>
        {
            long total = padding == Padding.Same ? dimension.Second * (dimension.First - 1) : 0;
            return new[] { total / 2, total - (total / 2) };
        })];
    }

    public void reset_parameters()
    {
        nn.init.kaiming_uniform_(_weight, Math.Sqrt(5));
        if (_bias is null) return;
        (long fanIn, _) = nn.init.CalculateFanInAndFanOut(_weight);
        double bound = fanIn > 0 ? 1 / Math.Sqrt(fanIn) : 0;
        nn.init.uniform_(_bias, -bound, bound);
    }

    /// <summary>Whether an input has the channels and, with or without a batch, the dimensions for this layer.</summary>
    protected bool ValidateShape(Tensor input, long dimensions)
    {
        long[] shape = input.shape;
        int channels = shape.Length - (int)dimensions - 1;
        return channels is 0 or 1 && shape[channels] == in_channels;
    }

    protected internal override nn.Module _to(Device device, ScalarType dtype, bool non_blocking) => Convert(dtype, device);

    protected internal override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking) => Convert(null, new Device(deviceType, deviceIndex));

    protected internal override nn.Module _to(ScalarType dtype, bool non_blocking) => Convert(dtype, null);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _weight?.Dispose();
            _bias?.Dispose();
        }
        base.Dispose(disposing);
    }

    private Convolution Convert(ScalarType? dtype, Device device)
    {
        if (ReplaceParameter(dtype, device, _weight, out Parameter w)) weight = w;
        if (_bias is not null && ReplaceParameter(dtype, device, _bias, out Parameter b)) bias = b;
        Believe(device);
        return this;
    }
}
