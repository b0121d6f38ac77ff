using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Layers;

/// <summary>One pass through a linear layer and its adapter makes the output, the input's gradient and narrow tensors, and keeps nothing.</summary>
[Collection(Alone.Name)]
public sealed class OnePassMemoryTests
{
    [Theory]
    [InlineData(LayerKind.Linear)]
    [InlineData(LayerKind.Transposed)]
    public void Beside_output_and_gradient_nothing_wide_is_made(LayerKind kind)
    {
        const long Rows = 300, In = 640, Out = 512;
        using LoraLinear layer = OnePassTests.Make(kind, ScalarType.Float32, 0, In, Out);
        using Tensor input = Noise.Fill(empty([Rows, In], device: TestDevice.Current), 4, 1), gradient = Noise.Fill(empty([Rows, Out], device: TestDevice.Current), 5, 1);
        input.requires_grad = true;
        Step();
        long narrow = (Rows + In + Out) * 2 * 4 * sizeof(float), wide = Rows * (In + Out) * sizeof(float);
        // The package and the backend alike make one more tensor like the output when the graph is made.
        Assert.InRange(AllocatedMemory.PeakOf(Step), wide, wide + (Rows * Out * sizeof(float)) + narrow);
        Leaks.AssertNone(20, Step);

        void Step()
        {
            using var scope = NewDisposeScope();
            layer.call(input).backward([gradient]);
            layer.zero_grad();
            input.grad = null;
        }
    }

    [Fact]
    public void Inference_makes_the_output_alone()
    {
        const long Rows = 300, In = 640, Out = 512;
        using LoraLinear layer = OnePassTests.Make(LayerKind.Linear, ScalarType.Float32, 0, In, Out);
        layer.eval();
        using Tensor input = Noise.Fill(empty([Rows, In], device: TestDevice.Current), 4, 1);
        using var noGrad = no_grad();
        layer.call(input).Dispose();
        long output = Rows * Out * sizeof(float);
        Assert.InRange(AllocatedMemory.PeakOf(() => layer.call(input).Dispose()), output, output + ((Rows + In) * 2 * 4 * sizeof(float)));
        Leaks.AssertNone(20, () => layer.call(input).Dispose());
    }
}
