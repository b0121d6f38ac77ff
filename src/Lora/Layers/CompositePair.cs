namespace Lora.Layers;

/// <summary>One pair of an adapter over several weights.</summary>
/// <param name="Name">Which weight it adapts.</param>
/// <param name="FilePrefix">What stands before the pair's keys in PEFT's file.</param>
/// <param name="Adapter">The pair.</param>
/// <param name="FileFactor">What a number of B in PEFT's file is multiplied by to give ours.</param>
internal sealed record CompositePair(string Name, string FilePrefix, LoraAdapter Adapter, double FileFactor = 1);
