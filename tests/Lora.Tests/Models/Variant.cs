namespace Lora.Tests.Models;

/// <summary>Settings that change what an adapter computes.</summary>
public enum Variant
{
    Plain,
    RankStabilized,
    LoraBias,
    Patterns,
    Dora,
    Kasa,
}
