using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static readonly Device CPU = new(DeviceType.CPU);

    public static readonly Device META = new(DeviceType.META);

    private static Device _defaultDevice = CPU;

    public static Device CUDA => Required(new Device(DeviceType.CUDA));

    public static Device device(string description) => Required(new Device(description));

    public static Device device(string deviceType, int index = -1) => Required(new Device(deviceType, index));

    public static Device device(DeviceType deviceType, int index = -1) => Required(new Device(deviceType, index));

    /// <summary>The CUDA device of that number. As in the package it is the one way to name a CUDA device where there is none.</summary>
    public static Device device(int index) => new(index);

    public static Device get_default_device() => _defaultDevice;

    public static void set_default_device(Device device) => _defaultDevice = Required(device);

    public static void set_default_device(string device) => set_default_device(torch.device(device));

    public static Device InitializeDevice(Device device) => device is null ? _defaultDevice : Required(device);

    public static void InitializeDeviceType(DeviceType deviceType)
    {
        if (!TryInitializeDeviceType(deviceType))
            throw new InvalidOperationException($"Torch device type {deviceType} did not initialise on the current machine.");
    }

    public static bool TryInitializeDeviceType(DeviceType deviceType) => deviceType != DeviceType.CUDA || cuda.is_available();

    public static bool cuda_is_available() => cuda.is_available();

    private static Device Required(Device device)
    {
        InitializeDeviceType(device.type);
        return device;
    }

    public static partial class cuda
    {
        public static bool is_available() => Native.st_cuda_available() != 0;

        public static int device_count() => Native.st_cuda_count();

        /// <summary>Seeds the current CUDA device; libtorch keeps the seed until CUDA is first used.</summary>
        public static void manual_seed(long seed) => manual_seed_all(seed);

        public static void manual_seed_all(long seed)
        {
            for (int i = 0; i < device_count(); i++)
            {
                using var generator = Generator.DefaultOf(new Device(i));
                generator.manual_seed(seed);
            }
        }

        public static void synchronize(Device device = null)
        {
            Device on = device ?? (get_default_device().type == DeviceType.CUDA ? get_default_device() : CUDA);
            Native.Check(Native.st_cuda_synchronize(on.index));
        }
    }

    public static partial class backends
    {
        public static partial class cuda
        {
            public static partial class matmul
            {
                public static bool allow_tf32
                {
                    get => Native.Check(Native.st_cuda_allow_tf32(-1)) != 0;
                    set => Native.Check(Native.st_cuda_allow_tf32(value ? 1 : 0));
                }
            }
        }
    }
}
