using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>One place in a model's tree of modules.</summary>
/// <param name="Path">The dotted path from the root.</param>
/// <param name="Name">Its last part.</param>
/// <param name="Module">The module at that place; where an adapted layer stands there, its base layer.</param>
/// <param name="Parent">The module that holds it.</param>
internal sealed record ModuleSite(string Path, string Name, nn.Module Module, nn.Module Parent)
{
    /// <summary>The adapted layer that stands there or beside it, or null.</summary>
    internal ILoraLayer? Layer { get; init; }
}
