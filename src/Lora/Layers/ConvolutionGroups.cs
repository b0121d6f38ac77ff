using TorchSharp.Modules;

namespace Lora.Layers;

/// <summary>What the groups of a convolution ask of an adapter.</summary>
internal static class ConvolutionGroups
{
    /// <summary>Why a rank does not go with groups, a clause that can follow the layer's path; null where it does.</summary>
    internal static string? Problem(Convolution convolution, long groups, AdapterSettings settings) => settings.Rank % groups == 0
        ? null
        : $"is a {convolution.GetType().Name} with {groups} groups, which do not divide the rank {settings.Rank}: give it a multiple of {groups} as its rank ({nameof(LoraConfig.RankPattern)}), or leave it out of the targets";

    /// <exception cref="ArgumentException">The rank does not go with the groups.</exception>
    internal static void ThrowIfIndivisible(Convolution convolution, long groups, AdapterSettings settings)
    {
        if (Problem(convolution, groups, settings) is string problem) throw new ArgumentException($"The layer {problem}.", nameof(settings));
    }
}
