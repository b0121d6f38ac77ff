using TorchSharp.Modules;

namespace Lora.Layers;

/// <summary>One pair that takes part in a pass, with the scale that it had then.</summary>
/// <param name="Owner">The adapter that it belongs to.</param>
/// <param name="Part">The weight that it adapts.</param>
/// <param name="A">Its A.</param>
/// <param name="B">Its B.</param>
/// <param name="Scale">Its scale.</param>
internal sealed record AttentionUpdate(LoraAdapter Owner, string Part, Parameter A, Parameter B, double Scale)
{
    internal static IEnumerable<AttentionUpdate> Of(LoraAdapter adapter)
    {
        var composite = (CompositeAdapter)adapter;
        return composite.PartNames.Select(name => new AttentionUpdate(adapter, name, composite.Part(name)!.A, composite.Part(name)!.B, composite.Part(name)!.Scale));
    }
}
