using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>A and B as torch draws the weights of the layers that they are in PEFT: U(−1/√n, 1/√n) with n inputs of an output; N(0, 1) for embeddings.</summary>
internal sealed record TorchDefaultInitialization : AdapterInitialization
{
    internal override string? PeftName => "false";

    internal override IEnumerable<KeyValuePair<string, string>> Fields => [new("init_lora_weights", "false")];

    protected internal override void Initialize(AdapterStart start)
    {
        foreach (Parameter factor in (Parameter[])[start.Adapter.A, start.Adapter.B])
        {
            if (start.Adapter is EmbeddingAdapter) nn.init.normal_(factor, 0, 1);
            else nn.init.kaiming_uniform_(factor, Math.Sqrt(5));
        }
        if (start.Adapter.Bias is Parameter bias)
        {
            double bound = 1 / Math.Sqrt(start.Adapter.B.shape[1..].Aggregate(1L, (product, size) => product * size));
            nn.init.uniform_(bias, -bound, bound);
        }
    }
}
