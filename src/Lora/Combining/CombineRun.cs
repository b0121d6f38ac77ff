using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>What one call of Combine holds for all layers: the options, and the source of random numbers.</summary>
internal sealed class CombineRun(CombineOptions options, int? rank) : IDisposable
{
    internal CombineOptions Options => options;

    /// <summary>The rank that all layers get, or null where each has its own.</summary>
    internal int? Rank => rank;

    /// <summary>The density; 1 where none is given.</summary>
    internal double Density => options.Density ?? 1;

    internal Generator Generator { get; } = new((ulong)options.Seed, CPU);

    /// <summary>How many of a number of values pruning keeps.</summary>
    /// <remarks>0.29 is a little less than 0.29 in binary, and the product with 100 is below 29. What the user wrote is a decimal number, and of 100 it means 29.</remarks>
    internal int KeptOf(long count) => options.PeftCompatible ? checked((int)(Density * count)) : checked((int)((decimal)Density * count));

    public void Dispose() => Generator.Dispose();
}
