using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks.Passes;

/// <summary>What tokens look at in a pass where each sees itself and everything before it, but for padding behind the texts.</summary>
/// <param name="Padding">0, and −∞ where there is padding, shape <c>[batch, length − FirstPadded]</c>; null where there is none.</param>
/// <param name="FirstPadded">The first place at which a text has padding.</param>
internal sealed record CausalReach(Tensor? Padding, long FirstPadded)
{
    /// <summary>What the tokens of a pass look at; null where it is something else, or attention in blocks is not for this device and type.</summary>
    /// <param name="input">What the model was called with.</param>
    /// <param name="window">How many positions a token may look at; null for all.</param>
    /// <param name="like">A tensor with the type and device to compute in.</param>
    /// <returns>The reach, whose tensor belongs to the current dispose scope.</returns>
    internal static CausalReach? Of(CausalInput input, int? window, Tensor like)
    {
        long length = input.InputIds.shape[1];
        if (length == 1 || window < length || input.Cache is not null || input.SequenceIds is not null) return null;
        if (like.device_type != DeviceType.CPU || like.dtype is not (ScalarType.Float32 or ScalarType.Float64)) return null;
        if (input.AttentionMask is null) return new(null, length);

        using var scope = NewDisposeScope();
        Tensor padded = input.AttentionMask.eq(0);
        // A row that sees nothing at all looks at everything alike, what comes behind it too: padding in front is for the whole matrix.
        if (padded.narrow(1, 0, 1).any().ToBoolean()) return null;
        Tensor places = padded.any(0).nonzero();
        if (places.shape[0] == 0) return new(null, length);
        long first = places[0].ToInt64();
        using Scalar nothing = double.NegativeInfinity;
        Tensor bias = zeros([padded.shape[0], length - first], dtype: like.dtype, device: like.device).masked_fill_(padded.narrow(1, first, length - first), nothing);
        return new(bias.MoveToOuterDisposeScope(), first);
    }
}
