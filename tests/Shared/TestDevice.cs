using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>The device that tests compute on: that of LORA_TEST_DEVICE, else the CPU.</summary>
internal static class TestDevice
{
    public static Device Current { get; } = device(Environment.GetEnvironmentVariable("LORA_TEST_DEVICE") is { Length: > 0 } name ? name : "cpu");

    /// <summary>Skips a test about two parameters over one memory, which only the CPU's tensors tell: elsewhere TorchSharp gives no address.</summary>
    public static void SkipWhereSharedMemoryIsNotTold() =>
        Assert.SkipWhen(Current.type != TorchSharp.DeviceType.CPU, "TorchSharp tells the address of a tensor on the CPU only.");
}
