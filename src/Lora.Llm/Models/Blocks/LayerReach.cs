namespace Lora.Llm.Blocks;

/// <summary>What a layer's attention sees and how it tells positions apart. Layers of the same reach share mask and tables in a forward pass.</summary>
/// <param name="Window">How many positions a token looks at, itself included; null for all before it.</param>
/// <param name="Rope">The rotary positions.</param>
internal sealed record LayerReach(int? Window, RopeSettings Rope);
