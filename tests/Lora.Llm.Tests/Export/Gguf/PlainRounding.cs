namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>How far numbers may be from those that were rounded to a type of GGUF.</summary>
internal static class PlainRounding
{
    public static void Check(double[] exact, double[] found, uint type, string name)
    {
        Assert.Equal(exact.Length, found.Length);
        for (int start = 0; start < exact.Length; start += 32)
        {
            double[] block = exact[start..Math.Min(start + 32, exact.Length)];
            double largest = block.Max(Math.Abs);
            for (int i = 0; i < block.Length; i++)
            {
                double allowed = type switch
                {
                    0 => 0,
                    1 => Math.Abs(block[i]) * Math.Pow(2, -11) + Math.Pow(2, -25), // half a unit, subnormal numbers included
                    30 => Math.Abs(block[i]) * Math.Pow(2, -8),
                    8 => largest / 127 * 0.5 * 1.001 + largest * Math.Pow(2, -11), // half a step, and the rounding of the scale
                    2 => largest / 8 * (block[i] * Extreme(block) < 0 ? 1 : 0.5) * 1.001 + largest * Math.Pow(2, -11), // there are eight steps towards the extreme and seven away from it
                    _ => throw new ArgumentException($"{name} has the type {type}"),
                };
                double error = Math.Abs(block[i] - found[start + i]);
                Assert.True(error <= allowed, $"{name}[{start + i}] = {block[i]:G6} became {found[start + i]:G6} in type {type}");
            }
        }
    }

    private static double Extreme(double[] block) => block.MaxBy(Math.Abs);
}
