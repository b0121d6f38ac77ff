using Lora.Injection;
using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>
/// An output head over the weight E of the token embedding, with the embedding's adapter: where that makes the rows E + s·(B·A)ᵀ, the head computes x·(E + s·(B·A)ᵀ)ᵀ.
/// A and B are there once and get the gradients of both uses. PEFT has two parameters over one memory, each with its gradient and optimizer state, and merges both.
/// </summary>
internal sealed class SharedFactors : AdapterPart
{
    private readonly PlannedTie _tie;
    private readonly ILoraLayer _embedding;
    private HookRemoval? _hook;

    /// <param name="adapterName">The adapter's name.</param>
    /// <param name="tie">Which head.</param>
    /// <param name="embedding">The adapted embedding.</param>
    internal SharedFactors(string adapterName, PlannedTie tie, ILoraLayer embedding)
        : base(adapterName) => (_tie, _embedding) = (tie, embedding);

    internal override string Setting => "ensure_weight_tying";

    internal override IReadOnlyList<string> Paths => [_tie.HeadPath];

    internal override bool Trains => false;

    internal override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [];

    internal override IReadOnlyList<MirroredTensor> Mirrors =>
    [
        new($"{_tie.HeadPath}.lora_A.weight", $"{_tie.EmbeddingPath}.lora_embedding_B", IsTransposed: true, IsRequired: true),
        new($"{_tie.HeadPath}.lora_B.weight", $"{_tie.EmbeddingPath}.lora_embedding_A", IsTransposed: true, IsRequired: true),
        .. _tie.SavesBase ? [new MirroredTensor($"{_tie.HeadPath}.base_layer.weight", $"{_tie.EmbeddingPath}.base_layer.weight", IsTransposed: false, IsRequired: false)] : Array.Empty<MirroredTensor>(),
    ];

    internal override IEnumerable<string> Claims => [];

    internal override IEnumerable<Parameter> Unlisted => [];

    internal override IEnumerable<SampleChange> SampleChanges =>
        [new(_tie.HeadPath, _tie.Head, [], (input, output) => output.add(((EmbeddingAdapter)_embedding.Adapters[AdapterName]).HeadTerm(input).to(output.dtype)))];

    internal override void Keep() => Dispose();

    public override void Dispose()
    {
        _hook?.Dispose();
        _hook = null;
    }

    private protected override void Activate()
    {
        if (_hook is not null) return;
        var hooks = HookCount.OfOutput(_tie.Head);
        _hook = new HookRemoval(_tie.Head.register_forward_hook((_, input, output) =>
        {
            // What is merged is in the weight, and so in the head's output already.
            if (_embedding.Adapters.Find(AdapterName) is not EmbeddingAdapter adapter || !_embedding.Adapters.Contributing.Contains(adapter)) return null!;
            using var scope = NewDisposeScope();
            Tensor result = output.add(adapter.HeadTerm(input).to(output.dtype)).MoveToOuterDisposeScope();
            // Nobody else has it, unless somebody's hook has seen it.
            if (hooks.Current == 1) output.Dispose();
            return result;
        }).remove);
    }

    private protected override void Deactivate() => Dispose();
}
