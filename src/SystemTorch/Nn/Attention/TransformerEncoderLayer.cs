using TorchSharp.Interop;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>Self-attention and two linear layers, each with a residual and a layer norm after it; a native module in the package, without children.</summary>
public sealed class TransformerEncoderLayer : nn.Module<Tensor, Tensor>, nn.IModule<Tensor, Tensor, Tensor>, nn.IModule<Tensor, Tensor, Tensor, Tensor>
{
    private readonly long _features;
    private readonly long _heads;
    private readonly double _dropout;
    private readonly nn.Activations _activation;

    internal TransformerEncoderLayer(long d_model, long nhead, long dim_feedforward, double dropout, nn.Activations activation)
        : base("torch::nn::TransformerEncoderLayerImpl")
    {
        MultiheadAttention.RequireDivisible(d_model, nhead);
        _features = d_model;
        _heads = nhead;
        _dropout = dropout;
        _activation = activation;
        foreach ((string key, Tensor tensor) in MultiheadAttention.Create(d_model, true, false, d_model, d_model))
            RegisterNative("self_attn." + key, tensor);
        RegisterNative("linear1.weight", Initial.KaimingUniform([dim_feedforward, d_model], d_model, null, null));
        RegisterNative("linear1.bias", Initial.KaimingUniform([dim_feedforward], d_model, null, null));
        RegisterNative("linear2.weight", Initial.KaimingUniform([d_model, dim_feedforward], dim_feedforward, null, null));
        RegisterNative("linear2.bias", Initial.KaimingUniform([d_model], dim_feedforward, null, null));
        foreach (string norm in new[] { "norm1", "norm2" })
        {
            RegisterNative(norm + ".weight", Initial.Full([d_model], 1, null, null));
            RegisterNative(norm + ".bias", Initial.Full([d_model], 0, null, null));
        }
    }

    public override Tensor forward(Tensor src) => Run(src, null, null);

    public Tensor call(Tensor src, Tensor src_mask) => Run(src, src_mask, null);

    public Tensor call(Tensor src, Tensor src_mask, Tensor src_key_padding_mask) => Run(src, src_mask, src_key_padding_mask);

    private Tensor Run(Tensor source, Tensor mask, Tensor paddingMask)
    {
        using DisposeScope scope = NewDisposeScope();
        var weights = new AttentionWeights(
            Natively("self_attn.in_proj_weight"), null, null, null, Natively("self_attn.in_proj_bias"), null, null,
            Natively("self_attn.out_proj.weight"), Natively("self_attn.out_proj.bias"));
        (Tensor attended, _) = HeadedAttention.Forward(source, source, source, weights, _heads, _dropout, training, false, paddingMask, false, mask);
        Tensor middle = Normalized("norm1", source, attended);

        Tensor wide = Linear("linear1", middle);
        wide = _activation == nn.Activations.GELU ? nn.functional.gelu(wide) : nn.functional.relu(wide);
        Tensor output = Normalized("norm2", middle, Linear("linear2", Dropped(wide)));
        return scope.MoveToOuter(output);
    }

    private Tensor Linear(string key, Tensor input) => nn.functional.linear(input, Natively(key + ".weight"), Natively(key + ".bias"));

    private Tensor Normalized(string key, Tensor residual, Tensor branch) =>
        nn.functional.layer_norm(Ops.Tensor("add.Tensor", residual, Dropped(branch)), [_features], Natively(key + ".weight"), Natively(key + ".bias"));

    private Tensor Dropped(Tensor tensor) => nn.functional.dropout(tensor, _dropout, training);
}
