using TorchSharp.Interop;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    public sealed class Linear : nn.Module<Tensor, Tensor>
    {
        [ComponentName(Name = "weight")]
        private Parameter _weight;

        [ComponentName(Name = "bias")]
        private Parameter _bias;

        internal Linear(long inputSize, long outputSize, bool hasBias, Device device, ScalarType? dtype)
            : base(nameof(Linear))
        {
            in_features = inputSize;
            out_features = outputSize;
            _weight = new Parameter(Initial.KaimingUniform([outputSize, inputSize], inputSize, device, dtype)).Own();
            if (hasBias) _bias = new Parameter(Initial.KaimingUniform([outputSize], inputSize, device, dtype)).Own();
            RegisterComponents();
        }

        internal Linear(Parameter weight, Parameter bias)
            : base(nameof(Linear))
        {
            ArgumentNullException.ThrowIfNull(weight);
            in_features = weight.shape[1];
            out_features = weight.shape[0];
            _weight = weight.Own();
            _bias = bias.Own();
            RegisterComponents();
        }

        public long in_features { get; set; }

        public long out_features { get; set; }

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

        public override Tensor forward(Tensor tensor) => Ops.Tensor("linear", tensor, _weight, _bias);

        protected internal override nn.Module _to(Device device, ScalarType dtype, bool non_blocking) => Convert(dtype, device);

        protected internal override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking) =>
            Convert(null, new Device(deviceType, deviceIndex));

        protected internal override nn.Module _to(ScalarType dtype, bool non_blocking) => Convert(dtype, null);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _weight.Dispose();
                _bias?.Dispose();
            }
            base.Dispose(disposing);
        }

        // Knows its two tensors only: what else is registered here stays as it is.
        private Linear Convert(ScalarType? dtype, Device device)
        {
            if (ReplaceParameter(dtype, device, _weight, out Parameter w)) weight = w;
            if (_bias is not null && ReplaceParameter(dtype, device, _bias, out Parameter b)) bias = b;
            Believe(device);
            return this;
        }
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public static Linear Linear(long inputSize, long outputSize, bool hasBias = true, Device device = null, ScalarType? dtype = null) =>
                new(inputSize, outputSize, hasBias, device, dtype);

            public static Linear Linear(Parameter weight, Parameter bias = null) => new(weight, bias);
        }
    }
}
