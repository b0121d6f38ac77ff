using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Self-attention of several heads that looks to both sides (Vaswani et al. 2017).</summary>
internal sealed class EncoderAttention : nn.Module<Tensor, Tensor?, Tensor>
{
    private readonly int _heads;
    private readonly double _dropout;

    [ComponentName(Name = "query")]
    private nn.Module<Tensor, Tensor> _query;

    [ComponentName(Name = "key")]
    private nn.Module<Tensor, Tensor> _key;

    [ComponentName(Name = "value")]
    private nn.Module<Tensor, Tensor> _value;

    internal EncoderAttention(int width, int heads, double dropout, ScalarType dataType, Device device)
        : base(nameof(EncoderAttention))
    {
        _heads = heads;
        _dropout = dropout;
        _query = UnfilledLayers.Linear(width, width, hasBias: true, dataType, device);
        _key = UnfilledLayers.Linear(width, width, hasBias: true, dataType, device);
        _value = UnfilledLayers.Linear(width, width, hasBias: true, dataType, device);
        RegisterComponents();
    }

    /// <param name="x">Shape <c>[batch, length, width]</c>.</param>
    /// <param name="mask">What is added to the scores, see <see cref="AttentionMask.Padding"/>.</param>
    public override Tensor forward(Tensor x, Tensor? mask)
    {
        using var scope = NewDisposeScope();
        long batch = x.shape[0], length = x.shape[1], width = x.shape[2];
        Tensor[] heads = [.. SharedInput.Call(x, _query, _key, _value).Select(Heads)];
        Tensor mixed = nn.functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], mask, training ? _dropout : 0);
        return mixed.transpose(1, 2).reshape(batch, length, width).MoveToOuterDisposeScope();

        Tensor Heads(Tensor projected) => projected.view(batch, length, _heads, width / _heads).transpose(1, 2);
    }
}
