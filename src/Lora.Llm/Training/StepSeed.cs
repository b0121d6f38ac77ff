namespace Lora.Llm;

/// <summary>
/// The seed of torch's random numbers at each step: a function of the training's seed and the step alone, so that a resumed training draws what an uninterrupted one does.
/// </summary>
internal static class StepSeed
{
    private const ulong Golden = 0x9E3779B97F4A7C15;

    /// <summary>SplitMix64 (Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number Generators"): the output after as many steps of the generator that starts at the mixed seed.</summary>
    /// <param name="seed">The training's seed.</param>
    /// <param name="step">The step, from 0.</param>
    internal static long Of(long seed, long step) => unchecked((long)Mix(Mix((ulong)seed + Golden) + ((ulong)step + 1) * Golden));

    private static ulong Mix(ulong z)
    {
        unchecked
        {
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }
}
