using static TorchSharp.torch;

namespace Lora;

/// <summary>
/// A model that knows which of its layers is the output head. <see cref="ModuleSelector.AllLinear"/> leaves that layer out, as PEFT does for the
/// models of transformers.
/// </summary>
public interface IHasOutputHead
{
    /// <summary>The output head, or null when the model has none.</summary>
    nn.Module? OutputHead { get; }
}
