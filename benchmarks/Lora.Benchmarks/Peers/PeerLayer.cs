using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>A layer of <see cref="PeerLlama"/>.</summary>
internal sealed class PeerLayer : nn.Module<Tensor, Tensor, Tensor, Tensor, Tensor>
{
    private readonly Parameter input_norm = new(ones(PeerLlama.Width)), inner_norm = new(ones(PeerLlama.Width));
    private nn.Module<Tensor, Tensor> q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj;

    public PeerLayer()
        : base(nameof(PeerLayer))
    {
        const int width = PeerLlama.Width, inner = PeerLlama.Inner;
        (q_proj, k_proj, v_proj, o_proj) = (Linear(width, width), Linear(width, width), Linear(width, width), Linear(width, width));
        (gate_proj, up_proj, down_proj) = (Linear(width, inner), Linear(width, inner), Linear(inner, width));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x, Tensor cosine, Tensor sine, Tensor bias)
    {
        using var scope = NewDisposeScope();
        Tensor y = Normed(x, input_norm);
        (Tensor q, Tensor k, Tensor v) = (Turned(Heads(q_proj.call(y))), Turned(Heads(k_proj.call(y))), Heads(v_proj.call(y)));
        using Scalar root = Math.Sqrt(PeerLlama.Width / PeerLlama.Heads);
        Tensor mixed = q.matmul(k.transpose(2, 3)).div(root).add(bias).softmax(-1).matmul(v);
        Tensor attended = x.add(o_proj.call(mixed.transpose(1, 2).flatten(2)));
        Tensor z = Normed(attended, inner_norm);
        return attended.add(down_proj.call(nn.functional.silu(gate_proj.call(z)).mul(up_proj.call(z)))).MoveToOuterDisposeScope();

        Tensor Turned(Tensor heads)
        {
            Tensor[] halves = heads.chunk(2, -1);
            return heads.mul(cosine).add(cat([halves[1].neg(), halves[0]], -1).mul(sine));
        }
    }

    internal static Tensor Normed(Tensor x, Tensor weight)
    {
        using Scalar epsilon = 1e-5;
        return weight.mul(x.mul(x.square().mean([-1], keepdim: true).add(epsilon).rsqrt()));
    }

    private static Tensor Heads(Tensor rows) => rows.view(rows.shape[0], rows.shape[1], PeerLlama.Heads, -1).transpose(1, 2);

    private static Linear Linear(int inFeatures, int outFeatures)
    {
        Linear layer = nn.Linear(inFeatures, outFeatures, hasBias: false);
        using var noGrad = no_grad();
        nn.init.normal_(layer.weight!, 0, 0.02);
        return layer;
    }
}
