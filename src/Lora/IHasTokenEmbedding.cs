using static TorchSharp.torch;

namespace Lora;

/// <summary>
/// A model that knows its token embedding. <see cref="LoraConfig.TrainableTokens"/> finds it by this, and a head that shares its weight follows changed rows.
/// </summary>
public interface IHasTokenEmbedding
{
    /// <summary>The token embedding, or null when the model has none.</summary>
    nn.Module? TokenEmbedding { get; }

    /// <summary>The output head if it computes with the embedding's weight, else null.</summary>
    nn.Module? TiedHead { get; }
}
