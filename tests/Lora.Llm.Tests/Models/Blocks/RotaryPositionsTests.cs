using Lora.Llm.Blocks;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Blocks;

public sealed class RotaryPositionsTests
{
    private const int Width = 10;

    [Fact]
    public void Default_and_linear_frequencies_are_those_of_the_papers()
    {
        double[] wanted = [.. Enumerable.Range(0, 5).Select(i => 1 / Math.Pow(500, 2 * i / 10.0))];
        Near(wanted, new DefaultRope(500).Frequencies(Width), 1e-14);
        Near([.. wanted.Select(f => f / 2.5)], new LinearRope(500, 2.5).Frequencies(Width), 1e-14);
    }

    // transformers' _compute_llama3_parameters, restated with its own masks.
    [Theory]
    [InlineData(500000, 8, 1, 4, 8192, 128)]
    [InlineData(10000, 32, 1, 4, 64, 16)]
    [InlineData(100, 3, 1.5, 6, 40, 10)]
    public void Llama3_frequencies_are_those_of_transformers(double theta, double factor, double low, double high, double original, int width)
    {
        var wanted = new double[width / 2];
        int kept = 0, divided = 0, blended = 0;
        for (int i = 0; i < wanted.Length; i++)
        {
            double frequency = 1 / Math.Pow(theta, 2.0 * i / width), wavelength = 2 * Math.PI / frequency;
            double result = wavelength > original / low ? frequency / factor : frequency;
            bool medium = !(wavelength < original / high) && !(wavelength > original / low);
            double smooth = (original / wavelength - low) / (high - low);
            wanted[i] = medium ? ((1 - smooth) * result / factor) + (smooth * result) : result;
            _ = medium ? blended++ : result == frequency ? kept++ : divided++;
        }
        Assert.True(kept > 0 && divided > 0 && blended > 0, "The case reaches all three ranges.");
        Near(wanted, new Llama3Rope(theta, factor, low, high, original).Frequencies(width), 1e-14);
    }

    [Theory]
    [InlineData(ScalarType.Float64, 1e-13)]
    [InlineData(ScalarType.Float32, 2e-5)] // an angle of 200 in float32 is known to 1e-5
    public void Tables_hold_the_angles_of_their_positions(ScalarType type, double tolerance)
    {
        using var positions = new RotaryPositions(new DefaultRope(500), Width);
        using var scope = NewDisposeScope();
        Tensor like = zeros([1], dtype: type, device: TestDevice.Current);
        Check(positions.For(0, 5, null, like), [0, 1, 2, 3, 4]);
        Check(positions.For(3, 4, null, like), [3, 4, 5, 6]);
        Check(positions.For(198, 3, null, like), [198, 199, 200]); // grown
        Check(positions.For(0, 3, tensor(new long[] { 7, 0, 41 }, [1, 3], device: TestDevice.Current), like), [7, 0, 41]);

        void Check((Tensor Cosine, Tensor Sine) found, int[] at)
        {
            Assert.Equal([1, 1, at.Length, Width], found.Cosine.shape);
            Assert.Equal(type, found.Cosine.dtype);
            double[] angles = [.. at.SelectMany(p => Enumerable.Range(0, Width).Select(i => p / Math.Pow(500, 2 * (i % 5) / 10.0)))];
            Near([.. angles.Select(Math.Cos)], TinyLlama.Values(found.Cosine), tolerance);
            Near([.. angles.Select(Math.Sin)], TinyLlama.Values(found.Sine), tolerance);
        }
    }

    [Fact]
    public void Position_ids_of_a_batch_give_each_row_its_own_angles()
    {
        using var positions = new RotaryPositions(new DefaultRope(500), Width);
        using var scope = NewDisposeScope();
        Tensor like = zeros([1], dtype: ScalarType.Float64, device: TestDevice.Current);
        (Tensor cosine, _) = positions.For(0, 2, tensor(new long[] { 0, 1, 5, 6 }, [2, 2], device: TestDevice.Current), like);
        Assert.Equal([2, 1, 2, Width], cosine.shape);
        (Tensor whole, _) = positions.For(0, 7, null, like);
        Assert.Equal(TinyLlama.Values(whole[0, 0, 5]), TinyLlama.Values(cosine[1, 0, 0]));
    }

    [Fact]
    public void Rotation_turns_component_i_with_component_i_plus_half()
    {
        using var positions = new RotaryPositions(new DefaultRope(500), 4);
        using var scope = NewDisposeScope();
        Tensor x = tensor(new double[] { 0.5, -1, 2, 3 }, [1, 1, 1, 4], device: TestDevice.Current);
        Tensor turned = RotaryPositions.Rotate(x, positions.For(3, 1, null, x));
        double a = 3, b = 3 / Math.Sqrt(500);
        Near(
            [0.5 * Math.Cos(a) - 2 * Math.Sin(a), -1 * Math.Cos(b) - 3 * Math.Sin(b), 2 * Math.Cos(a) + 0.5 * Math.Sin(a), 3 * Math.Cos(b) - 1 * Math.Sin(b)],
            TinyLlama.Values(turned), 1e-14);
    }

    private static void Near(double[] wanted, double[] found, double tolerance)
    {
        Assert.Equal(wanted.Length, found.Length);
        for (int i = 0; i < wanted.Length; i++) Assert.True(Math.Abs(wanted[i] - found[i]) <= tolerance, $"At {i}: wanted {wanted[i]}, found {found[i]}.");
    }
}
