using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>The device that tests compute on: that of LORA_TEST_DEVICE, else the CPU.</summary>
internal static class TestDevice
{
    public static Device Current { get; } = device(Environment.GetEnvironmentVariable("LORA_TEST_DEVICE") is { Length: > 0 } name ? name : "cpu");
}
