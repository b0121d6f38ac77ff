using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Turns the last hidden states of a model into logits.</summary>
internal static class LanguageHead
{
    /// <summary>The logits of all positions, or of the last ones alone.</summary>
    /// <param name="head">The output head.</param>
    /// <param name="hidden">Shape <c>[batch, length, width]</c>.</param>
    /// <param name="keep">The number of last positions; 0 for all.</param>
    internal static Tensor Logits(nn.Module<Tensor, Tensor> head, Tensor hidden, int keep)
    {
        long length = hidden.shape[1];
        if (keep is 0 || keep >= length) return head.call(hidden);
        using Tensor last = hidden.narrow(1, length - keep, keep);
        return head.call(last);
    }
}
