namespace Lora.Export;

/// <summary>What a merge has done to one tensor.</summary>
/// <param name="Name">The tensor.</param>
/// <param name="RelativeChange">‖ΔW‖ / ‖W‖ (Frobenius), before rounding; infinite where the tensor was zero.</param>
/// <param name="LargestRounding">The largest difference of an element from what was computed, which rounding to the tensor's type makes.</param>
public sealed record MergedTensor(string Name, double RelativeChange, double LargestRounding);
