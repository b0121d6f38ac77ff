using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>
/// A weight with one row for each output, and the factors of ΔW / s in the same form. A layer in groups is a batch of such matrices, each with the inputs of its group.
/// </summary>
/// <param name="Weight">W, <c>[out, n]</c>, or <c>[groups, out / groups, n]</c>; a view of whatever strides.</param>
/// <param name="Down">A for the inputs of W, <c>[r, n]</c>, or <c>[groups, r / groups, n]</c>.</param>
/// <param name="WholeDown">A for all inputs: more than the group's own where there are groups, else the same.</param>
/// <param name="Up">B, <c>[out, r]</c>, or <c>[groups, out / groups, r / groups]</c>.</param>
internal readonly record struct WeightRows(Tensor Weight, Tensor Down, Tensor WholeDown, Tensor Up);
