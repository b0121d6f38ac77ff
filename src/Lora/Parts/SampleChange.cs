using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>What the samples that use an adapter compute differently at one module.</summary>
/// <param name="Path">The module's path.</param>
/// <param name="Module">The module.</param>
/// <param name="Own">Parameters of the module, or of those in it, of which the adapter has its own.</param>
/// <param name="Change">Makes the adapter's output of the module's input and output, where that is enough; null where the module has to compute with the own parameters.</param>
internal sealed record SampleChange(string Path, nn.Module Module, IReadOnlyList<Replacement> Own, Func<Tensor, Tensor, Tensor>? Change);
