using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>What one forward pass of a T5's encoder or decoder shares between its blocks.</summary>
/// <param name="Bias">What is added to the scores of the self-attention: the positions' bias, and the lowest number where a token may not look.</param>
/// <param name="Encoded">What the encoder gave, shape <c>[batch, source, d_model]</c>; null in the encoder, and where the cache holds its keys and values.</param>
/// <param name="EncodedBias">The lowest number where there is padding in the encoder's input, shape <c>[batch, 1, 1, source]</c>; null without padding.</param>
/// <param name="Cache">Keys and values from before; null for none.</param>
internal sealed record T5Pass(Tensor Bias, Tensor? Encoded, Tensor? EncodedBias, SequenceToSequenceCache? Cache);
