namespace Lora.Mixing;

/// <summary>Rows at equal distances: a view of a tensor, without a copy.</summary>
/// <param name="Start">The first row.</param>
/// <param name="Count">How many there are.</param>
/// <param name="Step">The distance from one to the next; 1 for neighbours.</param>
internal readonly record struct RowRun(long Start, long Count, long Step);
