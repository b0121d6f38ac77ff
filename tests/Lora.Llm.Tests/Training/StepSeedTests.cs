namespace Lora.Llm.Tests.Training;

public sealed class StepSeedTests
{
    // The first outputs of SplitMix64 from the state 1234567, as published with the generator.
    [Fact]
    public void The_mixing_is_that_of_SplitMix64()
    {
        ulong state = 1234567;
        ulong[] wanted = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821];
        foreach (ulong output in wanted) Assert.Equal(output, Next(ref state));
        // A step's seed is that output of the generator which starts at the mixed seed.
        for (long seed = -2; seed < 3; seed++)
        {
            ulong first = unchecked((ulong)seed);
            ulong stream = Next(ref first);
            for (long step = 0; step < 5; step++) Assert.Equal(unchecked((long)Next(ref stream)), StepSeed.Of(seed, step));
        }
    }

    [Fact]
    public void No_two_steps_of_near_seeds_share_one()
    {
        long[] seeds = [.. from seed in Enumerable.Range(0, 50) from step in Enumerable.Range(0, 200) select StepSeed.Of(seed, step)];
        Assert.Equal(seeds.Length, seeds.Distinct().Count());
    }

    private static ulong Next(ref ulong state)
    {
        unchecked
        {
            state += 0x9E3779B97F4A7C15;
            ulong z = state;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }
}
