using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>The Llama of the peers' <c>step</c> by the peers' mathematics, operator by operator: a model in which the adapted linear layers alone are ours.</summary>
internal sealed class PeerLlama : nn.Module<Tensor, Tensor>
{
    internal const int Width = 512, Depth = 8, Heads = 8, Inner = 1376, Vocabulary = 4096;

    private readonly Parameter embedding = new(randn(Vocabulary, Width).mul(0.02));
    private readonly Parameter norm = new(ones(Width));
    private readonly ModuleList<PeerLayer> layers = new([.. Enumerable.Range(0, Depth).Select(_ => new PeerLayer())]);

    public PeerLlama()
        : base(nameof(PeerLlama)) => RegisterComponents();

    public override Tensor forward(Tensor ids)
    {
        using var scope = NewDisposeScope();
        long length = ids.shape[1], d = Width / Heads;
        Tensor frequencies = arange(0, d, 2).to(ScalarType.Float32).div(d).mul(-Math.Log(10000)).exp();
        Tensor angles = outer(arange(length).to(ScalarType.Float32), frequencies);
        Tensor both = cat([angles, angles], -1), bias = full([length, length], finfo(ScalarType.Float32).min).triu(1);
        (Tensor cosine, Tensor sine) = (both.cos(), both.sin());
        Tensor hidden = embedding.index_select(0, ids.view(-1)).view(ids.shape[0], length, Width);
        foreach (PeerLayer layer in layers) hidden = layer.call(hidden, cosine, sine, bias);
        return nn.functional.linear(PeerLayer.Normed(hidden, norm), embedding).MoveToOuterDisposeScope();
    }
}
