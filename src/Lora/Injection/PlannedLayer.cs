using Lora.Layers;

namespace Lora.Injection;

/// <summary>One layer that is going to get an adapter.</summary>
/// <param name="Site">Where it is.</param>
/// <param name="Kind">Who makes the adapted layer.</param>
/// <param name="Settings">The adapter's settings.</param>
/// <param name="Slots">The places that the adapted layer will take; null where it goes beside its base layer, or exists already.</param>
internal sealed record PlannedLayer(ModuleSite Site, LoraLayerKind Kind, AdapterSettings Settings, IReadOnlyList<ModuleSlot>? Slots);
