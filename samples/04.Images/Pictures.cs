using static TorchSharp.torch;

namespace Images;

/// <summary>Pictures of shapes: each in its own size, place, turn and colours, with noise.</summary>
internal sealed class Pictures
{
    internal const int Size = 32;

    private readonly float[][] _pixels;

    /// <param name="shapes">The classes.</param>
    /// <param name="count">The number of pictures, as many of each class as can be.</param>
    /// <param name="seed">Draws them.</param>
    internal Pictures(Shape[] shapes, int count, int seed)
    {
        var random = new Random(seed);
        Labels = [.. Enumerable.Range(0, count).Select(i => i % shapes.Length)];
        _pixels = [.. Labels.Select(label => Draw(shapes[label], random))];
    }

    /// <summary>The class of each.</summary>
    internal int[] Labels { get; }

    /// <summary>Red, green and blue of a picture, one plane behind the other, from 0 to 1.</summary>
    internal IReadOnlyList<float> this[int index] => _pixels[index];

    /// <summary>Pictures as a model wants them, shape <c>[count, 3, 32, 32]</c>, from −1 to 1.</summary>
    internal Tensor Pixels(IReadOnlyList<int> which, Device device) =>
        tensor(which.SelectMany(index => _pixels[index]).Select(value => 2 * value - 1).ToArray(), [which.Count, 3, Size, Size], device: device);

    /// <summary>Their classes, shape <c>[count]</c>.</summary>
    internal Tensor Classes(IReadOnlyList<int> which, Device device) => tensor(which.Select(index => (long)Labels[index]).ToArray(), device: device);

    private static float[] Draw(Shape shape, Random random)
    {
        double turn = random.NextDouble() * 2 * Math.PI, scale = 8 + 5 * random.NextDouble(), left = Size / 2.0 + 3 * (random.NextDouble() - 0.5), top = Size / 2.0 + 3 * (random.NextDouble() - 0.5);
        double[] ground = [random.NextDouble(), random.NextDouble(), random.NextDouble()], ink = [.. ground.Select(value => (value + 0.35 + 0.3 * random.NextDouble()) % 1)];
        (double sine, double cosine) = Math.SinCos(turn);
        var pixels = new float[3 * Size * Size];
        for (int row = 0; row < Size; row++)
        {
            for (int column = 0; column < Size; column++)
            {
                double x = (column + 0.5 - left) / scale, y = (row + 0.5 - top) / scale;
                double[] colour = shape.Contains(cosine * x + sine * y, cosine * y - sine * x) ? ink : ground;
                for (int channel = 0; channel < 3; channel++)
                    pixels[(channel * Size + row) * Size + column] = (float)Math.Clamp(colour[channel] + 0.15 * (random.NextDouble() - 0.5), 0, 1);
            }
        }
        return pixels;
    }
}
