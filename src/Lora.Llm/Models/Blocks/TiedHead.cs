using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>An output head that uses the weight of the token embedding. It has no parameter of its own, so the tie cannot come undone.</summary>
internal sealed class TiedHead : nn.Module<Tensor, Tensor>
{
    // No field of a module's type: the embedding would be listed a second time, as a child of this one.
    private readonly Func<Parameter> _weight;

    /// <param name="weight">Gets a new handle on the embedding's weight.</param>
    internal TiedHead(Func<Parameter> weight)
        : base(nameof(TiedHead)) => _weight = weight;

    /// <summary>A new handle on the embedding's weight.</summary>
    internal Parameter Weight => _weight();

    public override Tensor forward(Tensor x)
    {
        using Parameter weight = Weight;
        return nn.functional.linear(x, weight);
    }
}
