using Lora.Injection;

namespace Lora.Parts;

/// <summary>A parameter of the model that an adapter is going to have its own of.</summary>
/// <param name="Whole">The module that is meant: the parameter's own, or one that holds that.</param>
/// <param name="Path">The path of the parameter's own module.</param>
/// <param name="Place">Where the parameter is.</param>
/// <param name="Key">Its key in PEFT's file, without the prefix.</param>
/// <param name="Claim">Its path in the model.</param>
/// <param name="Elements">How many numbers it holds.</param>
/// <param name="Bytes">How much memory it takes.</param>
/// <param name="Trains">Whether it is there to be trained.</param>
internal sealed record PlannedReplacement(ModuleSite Whole, string Path, ParameterPlace Place, string Key, string Claim, long Elements, long Bytes, bool Trains = true);
