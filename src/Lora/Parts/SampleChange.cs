using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>What the samples that use an adapter compute differently at one module.</summary>
/// <param name="Path">The module's path.</param>
/// <param name="Module">The module.</param>
/// <param name="Own">Each puts a tensor of the adapter in the place of one that the module, or one in it, has, and takes it out again the next time.</param>
/// <param name="Change">Makes the adapter's output of the module's input and output, where that is enough; null where the module has to compute with the adapter's tensors.</param>
internal sealed record SampleChange(string Path, nn.Module Module, IReadOnlyList<Action> Own, Func<Tensor, Tensor, Tensor>? Change);
