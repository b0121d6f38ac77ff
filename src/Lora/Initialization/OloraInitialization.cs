using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>OLoRA: with W = Q·R, B is the first r columns of Q and A the first r rows of R (Büyükakyüz 2024, "OLoRA: Orthonormal Low-Rank Adaptation of Large Language Models").</summary>
internal sealed record OloraInitialization : AdapterInitialization
{
    public override bool ChangesBase => true;

    internal override string PeftName => "olora";

    internal override IEnumerable<KeyValuePair<string, string>> Fields => [new("init_lora_weights", "\"olora\"")];

    internal override bool CanBeRepeated => true;

    protected internal override string? Obstacle(AdapterShape shape) => shape.UnlessLinear(Name) ?? shape.UnlessWithinRank(Name);

    protected internal override void Initialize(AdapterStart start)
    {
        (Tensor q, Tensor r) = linalg.qr(start.Weight());
        start.Set(r.narrow(0, 0, start.Adapter.Rank), q.narrow(1, 0, start.Adapter.Rank));
    }

    // PEFT decomposes a weight that is stored as [in, out] as it is stored. What it takes off the base is then (B·A)ᵀ.
    internal override void InitializeAsPeft(AdapterStart start)
    {
        Tensor weight = start.Weight();
        if (!start.IsTransposed)
        {
            Initialize(start);
            return;
        }
        (Tensor q, Tensor r) = linalg.qr(weight.t());
        start.Set(q.narrow(1, 0, start.Adapter.Rank).t(), r.narrow(0, 0, start.Adapter.Rank).t());
    }
}
