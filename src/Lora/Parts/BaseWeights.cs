using TorchSharp.Modules;

namespace Lora.Parts;

/// <summary>Weights of the base model that are saved with the adapter as they are.</summary>
internal sealed class BaseWeights(string adapterName, IReadOnlyList<PlannedReplacement> planned) : AdapterPart(adapterName)
{
    internal override string Setting => PartPlan.EmbeddingSetting;

    internal override IReadOnlyList<string> Paths => [.. planned.Select(weight => weight.Path)];

    internal override bool Trains => false;

    internal override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [.. planned.Select(weight => KeyValuePair.Create(weight.Key, weight.Place.Current!))];

    internal override IEnumerable<string> Claims => [];

    internal override IEnumerable<Parameter> Unlisted => [];

    internal override IEnumerable<SampleChange> SampleChanges => [];

    internal override void Keep()
    {
    }

    public override void Dispose()
    {
    }

    private protected override void Activate()
    {
    }

    private protected override void Deactivate()
    {
    }
}
