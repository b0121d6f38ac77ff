using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>
/// With Q a random orthogonal r×r matrix, A mixes its even rows and B its odd ones, so that B·A = 0 while neither is zero, as in PEFT (after
/// https://datta0.github.io/posts/rethink-lora-init).
/// </summary>
internal sealed record OrthogonalInitialization : AdapterInitialization
{
    internal override string? PeftName => "orthogonal";

    internal override IEnumerable<KeyValuePair<string, string>> Fields => [new("init_lora_weights", "\"orthogonal\"")];

    protected internal override string? Obstacle(AdapterShape shape) => shape.UnlessLinear(Name)
        ?? (shape.Rank % 2 == 0 ? null : $"has the rank {shape.Rank}, but {Name} needs an even one");

    protected internal override void Initialize(AdapterStart start)
    {
        (long rank, long inputs, long outputs) = (start.Adapter.Rank, start.Adapter.A.shape[1], start.Adapter.B.shape[0]);
        Device device = start.Adapter.A.device;
        (Tensor q, _) = linalg.qr(randn([rank, rank], device: device));
        Tensor even = q.view(rank / 2, 2, rank).select(1, 0), odd = q.view(rank / 2, 2, rank).select(1, 1);
        // Small, so that training decides: a tenth, as in PEFT.
        start.Set(randn([inputs, rank / 2], device: device).matmul(even).t().div(10), randn([rank / 2, outputs], device: device).t().matmul(odd).div(10));
    }
}
