using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>One layer of a decoder: attention and feed-forward, with norms around them.</summary>
/// <param name="name">The name of the module's kind.</param>
/// <param name="reach">What its attention sees.</param>
internal abstract class DecoderLayer(string name, LayerReach reach) : nn.Module<Tensor, AttentionContext, Tensor>(name)
{
    /// <summary>What its attention sees.</summary>
    internal LayerReach Reach { get; } = reach;
}
