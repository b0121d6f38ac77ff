using static TorchSharp.torch;

namespace Lora.Llm.Generation;

/// <summary>Checks tokens before a model looks them up: on a GPU one that its embedding lacks would end the process.</summary>
internal static class KnownTokens
{
    /// <exception cref="ArgumentException">A token is none of the vocabulary.</exception>
    internal static void ThrowIfUnknown(Tensor ids, GenerationOptions options, int vocabulary, string name)
    {
        if (options.PadTokenId >= vocabulary) throw new ArgumentException($"{nameof(GenerationOptions.PadTokenId)} is {options.PadTokenId}, but the model's vocabulary has {vocabulary} tokens.");
        // Of other types the model says so.
        if (ids.dtype != ScalarType.Int64 || ids.numel() == 0) return;
        using var scope = NewDisposeScope();
        long smallest = ids.min().item<long>(), largest = ids.max().item<long>();
        if (smallest >= 0 && largest < vocabulary) return;
        throw new ArgumentException($"There is the token {(smallest < 0 ? smallest : largest)}, but the model's vocabulary has {vocabulary} tokens, counted from 0: use the model's own tokenizer.", name);
    }
}
