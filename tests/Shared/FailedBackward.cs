namespace Lora.Tests;

/// <summary>Tests about exceptions in the backward of custom functions.</summary>
internal static class FailedBackward
{
    /// <summary>Skips the test with the package, where such an exception ends the process.</summary>
    public static void SkipWhereItEndsTheProcess() =>
        Assert.SkipWhen(typeof(TorchSharp.torch).Assembly.GetType("TorchSharp.Interop.Native") is null, "An exception in a backward pass ends the process with TorchSharp's package.");
}
