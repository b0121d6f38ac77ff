using Lora.Injection;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>Parameters of a model, such as its biases or all those of some modules, of which the adapter has its own, and the modules' buffers with them.</summary>
internal sealed class ReplacedParameters : AdapterPart
{
    private readonly IReadOnlyList<Replacement<Parameter>> _replacements;
    private readonly IReadOnlyList<(BufferPlace Place, Replacement<Tensor> Buffer)> _buffers;
    private readonly SampleChange[] _sampleChanges;

    /// <param name="adapterName">The adapter's name.</param>
    /// <param name="setting">The setting that asks for it.</param>
    /// <param name="planned">Which parameters.</param>
    /// <param name="buffers">Which buffers.</param>
    internal ReplacedParameters(string adapterName, string setting, IReadOnlyList<PlannedReplacement> planned, IReadOnlyList<PlannedBuffer>? buffers = null)
        : base(adapterName)
    {
        Setting = setting;
        Trains = planned.All(replacement => replacement.Trains);
        Paths = [.. planned.Select(replacement => replacement.Path).Distinct()];
        _replacements = [.. planned.Select(replacement => new Replacement<Parameter>(replacement.Place, replacement.Key, replacement.Claim))];
        _buffers = [.. (buffers ?? []).Select(buffer => (buffer.Place, new Replacement<Tensor>(buffer.Place, buffer.Key, buffer.Key)))];
        IEnumerable<(ModuleSite Whole, Action Exchange)> exchanges =
        [
            .. planned.Zip(_replacements, (plan, replacement) => (plan.Whole, (Action)replacement.Exchange)),
            .. (buffers ?? []).Zip(_buffers, (plan, buffer) => (plan.Whole, (Action)buffer.Buffer.Exchange)),
        ];
        _sampleChanges = [.. exchanges.GroupBy(exchange => exchange.Whole, exchange => exchange.Exchange).Select(own => new SampleChange(own.Key.Path, own.Key.Module, [.. own], null))];
    }

    internal override string Setting { get; }

    internal override IReadOnlyList<string> Paths { get; }

    internal override bool Trains { get; }

    internal override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [.. _replacements.Select(replacement => KeyValuePair.Create(replacement.Key, replacement.Own))];

    internal override IReadOnlyList<KeyValuePair<string, Tensor>> FileBuffers =>
        [.. _buffers.Where(buffer => buffer.Place.IsSaved).Select(buffer => KeyValuePair.Create(buffer.Buffer.Key, buffer.Buffer.Own))];

    internal override IEnumerable<string> Claims => _replacements.Select(replacement => replacement.Claim).Concat(_buffers.Select(buffer => buffer.Buffer.Claim));

    internal override IEnumerable<Parameter> Unlisted => _replacements.Select(replacement => replacement.Aside);

    internal override IEnumerable<SampleChange> SampleChanges => _sampleChanges;

    internal override void Keep()
    {
        foreach (Replacement<Parameter> replacement in _replacements) replacement.Keep();
        foreach ((_, Replacement<Tensor> buffer) in _buffers) buffer.Keep();
    }

    public override void Dispose()
    {
        foreach (Replacement<Parameter> replacement in _replacements) replacement.Dispose();
        foreach ((_, Replacement<Tensor> buffer) in _buffers) buffer.Dispose();
    }

    private protected override void Activate() => Exchange();

    private protected override void Deactivate() => Exchange();

    private void Exchange()
    {
        foreach (Replacement<Parameter> replacement in _replacements) replacement.Exchange();
        foreach ((_, Replacement<Tensor> buffer) in _buffers) buffer.Exchange();
    }
}
