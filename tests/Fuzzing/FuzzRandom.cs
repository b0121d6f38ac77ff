namespace Lora.Fuzzing;

/// <summary>Random numbers that are the same on every version of .NET: SplitMix64 (Steele, Lea and Flood 2014).</summary>
internal sealed class FuzzRandom(ulong state)
{
    private ulong _state = state;

    /// <summary>The numbers of one input: they depend on the seed and the input's place alone, so that any input can be made again by itself.</summary>
    internal static FuzzRandom Of(long seed, long place) => new(unchecked(((ulong)seed * 0xD1342543DE82EF95) + ((ulong)place * 0x9E3779B97F4A7C15)));

    internal ulong NextBits()
    {
        ulong mixed = _state += 0x9E3779B97F4A7C15;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }

    /// <summary>A number from 0 to below <paramref name="end"/>, or 0.</summary>
    internal int Next(int end) => end <= 1 ? 0 : (int)(NextBits() % (ulong)end);

    /// <summary>True once in so many times.</summary>
    internal bool OneIn(int times) => Next(times) == 0;

    internal T Pick<T>(IReadOnlyList<T> items) => items[Next(items.Count)];

    /// <summary>Mostly small numbers, seldom up to <paramref name="most"/>.</summary>
    internal int Small(int most)
    {
        int end = 2;
        while (end < most && OneIn(2)) end *= 2;
        return 1 + Next(Math.Min(end, most));
    }
}
