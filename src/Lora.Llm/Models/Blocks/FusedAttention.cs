using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Self-attention with rotary positions, whose queries, keys and values are one projection, one below the other in this order.</summary>
internal sealed class FusedAttention : nn.Module<Tensor, AttentionContext, Tensor>
{
    private readonly ScaledAttention _attention;

    [ComponentName(Name = "o_proj")]
    private nn.Module<Tensor, Tensor> _output;

    [ComponentName(Name = "qkv_proj")]
    private nn.Module<Tensor, Tensor> _inputs;

    internal FusedAttention(int width, ScaledAttention attention, ScalarType dataType, Device device)
        : base(nameof(FusedAttention))
    {
        _attention = attention;
        int queries = attention.Heads * attention.HeadDimension, keys = attention.KeyValueHeads * attention.HeadDimension;
        _output = UnfilledLayers.Linear(queries, width, hasBias: false, dataType, device);
        _inputs = UnfilledLayers.Linear(width, queries + 2 * keys, hasBias: false, dataType, device);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        long queries = _attention.Heads * _attention.HeadDimension, keys = _attention.KeyValueHeads * _attention.HeadDimension;
        Tensor all = _inputs.call(x);
        Tensor mixed = _attention.Mix(
            _attention.Turn(all.narrow(2, 0, queries), context), _attention.Turn(all.narrow(2, queries, keys), context), all.narrow(2, queries + keys, keys), context, training);
        return _output.call(mixed).MoveToOuterDisposeScope();
    }
}
