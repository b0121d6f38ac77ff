using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Autograd;

[Collection(Alone.Name)]
public sealed partial class GradientWarningTests
{
    private const int StandardError = 2;

    [Fact]
    public void GradientOfANonLeaf_IsReadWithoutAWarning()
    {
        using Tensor x = ones(2, 3, requires_grad: true), dropped = x.mul(2), kept = x.mul(3), sum = dropped.add(kept).sum();
        kept.retain_grad();
        sum.backward();

        string printed = PrintedBy(() =>
        {
            Assert.Null(dropped.grad);
            using Tensor gradient = kept.grad;
            Assert.Equal([2L, 3], gradient.shape);
        });
        Assert.Equal("", printed);
    }

    // libtorch writes to the file descriptor, past Console.Error.
    private static string PrintedBy(Action action)
    {
        string path = Path.GetTempFileName();
        try
        {
            int usual = dup(StandardError);
            using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write)) Assert.Equal(StandardError, dup2((int)file.DangerousGetHandle(), StandardError));
            try
            {
                action();
            }
            finally
            {
                Assert.Equal(StandardError, dup2(usual, StandardError));
                Assert.Equal(0, close(usual));
            }
            return File.ReadAllText(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [LibraryImport("libc")] private static partial int dup(int descriptor);

    [LibraryImport("libc")] private static partial int dup2(int descriptor, int target);

    [LibraryImport("libc")] private static partial int close(int descriptor);
}
