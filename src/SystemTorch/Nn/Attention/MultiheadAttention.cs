using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>Multi-head attention; a native module in the package: no children and no properties, the parameters are reached by name.</summary>
public sealed class MultiheadAttention : nn.Module<Tensor, Tensor, Tensor, Tensor, bool, Tensor, Tuple<Tensor, Tensor>>
{
    private readonly long _heads;
    private readonly double _dropout;
    private readonly bool _addZero;

    internal MultiheadAttention(
        long embedded_dim, long num_heads, double dropout, bool bias, bool add_bias_kv, bool add_zero_attn, long? kdim, long? vdim)
        : base("torch::nn::MultiheadAttentionImpl")
    {
        RequireDivisible(embedded_dim, num_heads);
        _heads = num_heads;
        _dropout = dropout;
        _addZero = add_zero_attn;
        foreach ((string key, Tensor tensor) in Create(embedded_dim, bias, add_bias_kv, kdim ?? embedded_dim, vdim ?? embedded_dim))
            RegisterNative(key, tensor);
    }

    public override Tuple<Tensor, Tensor> forward(Tensor query, Tensor key, Tensor value, Tensor key_padding_mask, bool need_weights, Tensor attn_mask)
    {
        var weights = new AttentionWeights(
            Natively("in_proj_weight"), Natively("q_proj_weight"), Natively("k_proj_weight"), Natively("v_proj_weight"), Natively("in_proj_bias"),
            Natively("bias_k"), Natively("bias_v"), Natively("out_proj.weight"), Natively("out_proj.bias"));
        (Tensor output, Tensor attention) = HeadedAttention.Forward(
            query, key, value, weights, _heads, _dropout, training, _addZero, key_padding_mask, need_weights, attn_mask);
        // Weights that were not asked for come as a tensor without a handle.
        return Tuple.Create(output, attention ?? Tensor.Wrap(IntPtr.Zero));
    }

    public new Tuple<Tensor, Tensor> call(
        Tensor query, Tensor key, Tensor value, Tensor key_padding_mask = null, bool need_weights = true, Tensor attn_mask = null) =>
        base.call(query, key, value, key_padding_mask, need_weights, attn_mask);

    internal static void RequireDivisible(long features, long heads)
    {
        if (heads <= 0 || features % heads != 0) throw new ExternalException("embed_dim must be divisible by num_heads");
    }

    /// <summary>The parameters under libtorch's names, in its order, with its initial values.</summary>
    internal static IEnumerable<(string Name, Tensor Tensor)> Create(long features, bool bias, bool biasKeyValue, long keyFeatures, long valueFeatures)
    {
        // Drawn in libtorch's order: the output's linear layer first, though it is listed last.
        Tensor outWeight = Initial.KaimingUniform([features, features], features, null, null), outBias = null;
        if (bias) outBias = nn.init.zeros_(Initial.KaimingUniform([features], features, null, null));

        if (keyFeatures == features && valueFeatures == features) yield return ("in_proj_weight", Xavier(3 * features, features));
        else
        {
            yield return ("q_proj_weight", Xavier(features, features));
            yield return ("k_proj_weight", Xavier(features, keyFeatures));
            yield return ("v_proj_weight", Xavier(features, valueFeatures));
        }
        if (bias) yield return ("in_proj_bias", Initial.Full([3 * features], 0, null, null));
        if (biasKeyValue)
        {
            yield return ("bias_k", nn.init.xavier_normal_(Initial.Full([1, 1, features], 0, null, null)));
            yield return ("bias_v", nn.init.xavier_normal_(Initial.Full([1, 1, features], 0, null, null)));
        }
        yield return ("out_proj.weight", outWeight);
        if (bias) yield return ("out_proj.bias", outBias);
    }

    private static Tensor Xavier(long rows, long columns) => Initial.Uniform([rows, columns], Math.Sqrt(6.0 / (rows + columns)), null, null);
}
