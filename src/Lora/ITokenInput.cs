using static TorchSharp.torch;

namespace Lora;

/// <summary>
/// What a language model is called with, as far as adapters need it that act on some of the tokens only (<see cref="LoraConfig.InvocationTokens"/>). A model that is called with a tensor
/// of token ids needs no such thing.
/// </summary>
public interface ITokenInput
{
    /// <summary>Token ids, an integer type, shape <c>[batch, length]</c>.</summary>
    Tensor InputIds { get; }

    /// <summary>How many positions before these the model has computed already and holds in <see cref="History"/>.</summary>
    /// <value>0 by default.</value>
    long PastLength => 0;

    /// <summary>What holds the positions before, such as a cache of keys and values: the same object for all parts of one text.</summary>
    /// <value>Null by default.</value>
    object? History => null;
}
