using System.Globalization;
using TorchSharp.Interop;

namespace TorchSharp;

public enum DeviceType
{
    CPU = 0,
    CUDA = 1,
    MKLDNN = 2,
    OPENGL = 3,
    OPENCL = 4,
    IDEEP = 5,
    HIP = 6,
    FPGA = 7,
    MSNPU = 8,
    XLA = 9,
    MPS = 13,
    META = 14,
}

public static partial class torch
{
    public class Device
    {
        public Device(string description)
            : this(Parse(description, out int index), index)
        {
        }

        public Device(string deviceType, int index = -1)
            : this(Parse(deviceType, out int described), described >= 0 ? described : index)
        {
        }

        public Device(DeviceType deviceType, int index = -1)
        {
            type = deviceType;
            this.index = deviceType == DeviceType.CPU ? -1 : index;
        }

        public Device(int index)
            : this(DeviceType.CUDA, index)
        {
        }

        public DeviceType type { get; }

        public int index { get; }

        public static implicit operator Device(string description) => new(description);

        public override string ToString() =>
            index >= 0 ? $"{Name}:{index.ToString(CultureInfo.InvariantCulture)}" : Name;

        // The numbers of the kinds are libtorch's own.
        internal long Packed => ((long)type << 32) | (uint)index;

        internal static Device Unpack(long packed)
        {
            if (packed == long.MinValue) Native.ThrowLastError();
            return new Device((DeviceType)(packed >> 32), (int)packed);
        }

        private string Name => type.ToString().ToLowerInvariant();

        // The exceptions are those of the two parsers, as in the package.
        private static DeviceType Parse(string description, out int index)
        {
            ArgumentNullException.ThrowIfNull(description);
            string[] parts = description.Split(':');
            if (parts.Length > 2) throw new ArgumentException($"'{description}' is no device: give for example \"cpu\", \"cuda\" or \"cuda:0\".", nameof(description));
            DeviceType type = Enum.Parse<DeviceType>(parts[0].ToUpperInvariant());
            index = parts.Length == 2 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : -1;
            return type;
        }
    }
}
