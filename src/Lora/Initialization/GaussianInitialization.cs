using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>A from N(0, 1/r²), B zero; embeddings as they do by themselves.</summary>
internal sealed record GaussianInitialization : AdapterInitialization
{
    internal override string? PeftName => "gaussian";

    internal override IEnumerable<KeyValuePair<string, string>> Fields => [new("init_lora_weights", "\"gaussian\"")];

    internal override bool LeavesToAdapter(LoraAdapter adapter) => adapter is EmbeddingAdapter;

    protected internal override void Initialize(AdapterStart start)
    {
        nn.init.normal_(start.Adapter.A, 0, 1.0 / start.Adapter.Rank);
        start.Adapter.B.zero_();
    }
}
