using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>One block of a T5: self-attention, in the decoder attention to the encoded text, and the feed-forward part.</summary>
internal sealed class T5Block : nn.Module<Tensor, T5Pass, Tensor>
{
    [ComponentName(Name = "layer")]
    private ModuleList<nn.Module> _parts;

    /// <param name="config">The model's shape.</param>
    /// <param name="layer">Which block this is, for the cache.</param>
    /// <param name="isDecoder">Whether it looks at what the encoder gave.</param>
    /// <param name="buckets">The buckets of the positions where this block holds their bias, else null.</param>
    /// <param name="dataType">The type of its weights.</param>
    /// <param name="device">Where it lives.</param>
    internal T5Block(T5Config config, int layer, bool isDecoder, RelativeBuckets? buckets, ScalarType dataType, Device device)
        : base(nameof(T5Block))
    {
        var self = new T5SelfAttentionLayer(config, layer, buckets, dataType, device);
        nn.Module[] cross = isDecoder ? [new T5CrossAttentionLayer(config, layer, dataType, device)] : [];
        _parts = new ModuleList<nn.Module>([self, .. cross, new T5FeedForwardLayer(config, dataType, device)]);
        RegisterComponents();
    }

    internal T5Attention SelfAttention => ((T5SelfAttentionLayer)_parts[0]).Attention;

    public override Tensor forward(Tensor x, T5Pass pass)
    {
        using var scope = NewDisposeScope();
        Tensor hidden = x;
        for (int i = 0; i < _parts.Count - 1; i++) hidden = ((nn.Module<Tensor, T5Pass, Tensor>)_parts[i]).call(hidden, pass);
        return ((nn.Module<Tensor, Tensor>)_parts[^1]).call(hidden).MoveToOuterDisposeScope();
    }
}
