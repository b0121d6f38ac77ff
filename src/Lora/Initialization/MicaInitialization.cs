using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>MiCA: B is the left singular vectors of the r smallest singular values of W and stays so, A is zero ("Minor Component Adaptation", arXiv:2604.01694).</summary>
internal sealed record MicaInitialization : AdapterInitialization
{
    public override bool FreezesB => true;

    internal override string PeftName => "mica";

    internal override IEnumerable<KeyValuePair<string, string>> Fields => [new("init_lora_weights", "\"mica\"")];

    protected internal override string? Obstacle(AdapterShape shape) => (shape.IsEmbedding ? null : shape.UnlessLinear(Name)) ?? shape.UnlessWithinRank(Name);

    protected internal override void Initialize(AdapterStart start)
    {
        Tensor u = linalg.svd(start.Weight(), fullMatrices: false).U;
        LoraAdapter adapter = start.Adapter;
        start.Set(zeros_like(adapter.A), u.narrow(1, u.shape[1] - adapter.Rank, adapter.Rank));
    }
}
