using TorchSharp.Modules;

namespace Lora.Parts;

/// <summary>Parameters of a model, such as its biases or all those of some modules, of which the adapter has its own.</summary>
internal sealed class ReplacedParameters : AdapterPart
{
    private readonly IReadOnlyList<PlannedReplacement> _planned;
    private readonly IReadOnlyList<Replacement> _replacements;

    /// <param name="adapterName">The adapter's name.</param>
    /// <param name="setting">The setting that asks for it.</param>
    /// <param name="planned">Which parameters.</param>
    internal ReplacedParameters(string adapterName, string setting, IReadOnlyList<PlannedReplacement> planned)
        : base(adapterName)
    {
        Setting = setting;
        _planned = planned;
        Trains = planned.All(replacement => replacement.Trains);
        Paths = [.. planned.Select(replacement => replacement.Path).Distinct()];
        _replacements = [.. planned.Select(replacement => new Replacement(replacement.Place, replacement.Key, replacement.Claim))];
    }

    internal override string Setting { get; }

    internal override IReadOnlyList<string> Paths { get; }

    internal override bool Trains { get; }

    internal override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [.. _replacements.Select(replacement => KeyValuePair.Create(replacement.Key, replacement.Own))];

    internal override IEnumerable<string> Claims => _replacements.Select(replacement => replacement.Claim);

    internal override IEnumerable<Parameter> Unlisted => _replacements.Select(replacement => replacement.Aside);

    internal override IEnumerable<SampleChange> SampleChanges => _planned.Zip(_replacements).GroupBy(pair => pair.First.Whole, pair => pair.Second)
        .Select(own => new SampleChange(own.Key.Path, own.Key.Module, [.. own], null));

    internal override void Keep()
    {
        foreach (Replacement replacement in _replacements) replacement.Keep();
    }

    public override void Dispose()
    {
        foreach (Replacement replacement in _replacements) replacement.Dispose();
    }

    private protected override void Activate() => Exchange();

    private protected override void Deactivate() => Exchange();

    private void Exchange()
    {
        foreach (Replacement replacement in _replacements) replacement.Exchange();
    }
}
