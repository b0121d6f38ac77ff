using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>
/// Self-attention with rotary positions and a projection each for queries, keys and values. Some models normalise each head's queries and keys (Henry et al. 2020).
/// </summary>
internal sealed class CausalAttention : nn.Module<Tensor, AttentionContext, Tensor>
{
    private readonly ScaledAttention _attention;

    [ComponentName(Name = "q_proj")]
    private nn.Module<Tensor, Tensor> _query;

    [ComponentName(Name = "k_proj")]
    private nn.Module<Tensor, Tensor> _key;

    [ComponentName(Name = "v_proj")]
    private nn.Module<Tensor, Tensor> _value;

    [ComponentName(Name = "o_proj")]
    private nn.Module<Tensor, Tensor> _output;

    [ComponentName(Name = "q_norm")]
    private nn.Module<Tensor, Tensor>? _queryNorm;

    [ComponentName(Name = "k_norm")]
    private nn.Module<Tensor, Tensor>? _keyNorm;

    /// <param name="config">The widths and which projections have biases.</param>
    /// <param name="attention">How queries, keys and values are mixed.</param>
    /// <param name="headNorm">Makes the norm of queries or keys; null for none.</param>
    /// <param name="dataType">The type of the weights.</param>
    /// <param name="device">Where they live.</param>
    internal CausalAttention(DecoderConfig config, ScaledAttention attention, Func<nn.Module<Tensor, Tensor>>? headNorm, ScalarType dataType, Device device)
        : base(nameof(CausalAttention))
    {
        _attention = attention;
        int queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        _query = UnfilledLayers.Linear(config.HiddenSize, queries, config.InputBias, dataType, device);
        _key = UnfilledLayers.Linear(config.HiddenSize, keys, config.InputBias, dataType, device);
        _value = UnfilledLayers.Linear(config.HiddenSize, keys, config.InputBias, dataType, device);
        _output = UnfilledLayers.Linear(queries, config.HiddenSize, config.OutputBias, dataType, device);
        _queryNorm = headNorm?.Invoke();
        _keyNorm = headNorm?.Invoke();
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, AttentionContext context)
    {
        using var scope = NewDisposeScope();
        Tensor[] projected = SharedInput.Call(x, _query, _key, _value);
        Tensor queries = _attention.Turn(Normalized(_queryNorm, projected[0]), context);
        Tensor keys = _attention.Turn(Normalized(_keyNorm, projected[1]), context);
        return _output.call(_attention.Mix(queries, keys, projected[2], context, training)).MoveToOuterDisposeScope();

        Tensor Normalized(nn.Module<Tensor, Tensor>? norm, Tensor rows) => norm is null ? rows : norm.call(rows.unflatten(2, -1, _attention.HeadDimension)).flatten(2);
    }
}
