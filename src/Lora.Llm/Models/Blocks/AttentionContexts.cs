using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>What the layers of one forward pass are told, made once for each reach among them.</summary>
/// <param name="tables">The rotary tables of each setting.</param>
/// <param name="input">What the model was called with.</param>
/// <param name="hidden">The embedded tokens, whose type and device are computed in.</param>
internal sealed class AttentionContexts(IReadOnlyDictionary<RopeSettings, RotaryPositions> tables, CausalInput input, Tensor hidden)
{
    private readonly Dictionary<LayerReach, AttentionContext> _contexts = [];
    private readonly Dictionary<RopeSettings, (Tensor Cosine, Tensor Sine)> _rotations = [];

    // The embedded tokens themselves are gone when a later layer asks.
    private readonly Tensor _like = empty([0], dtype: hidden.dtype, device: hidden.device);

    private long Length { get; } = input.InputIds.shape[1];

    private long Past { get; } = input.Cache?.Length ?? 0;

    /// <summary>What the layer at a place is told; its tensors are in the dispose scope of the first call.</summary>
    internal AttentionContext For(LayerReach reach, int layer)
    {
        if (!_contexts.TryGetValue(reach, out AttentionContext? context))
        {
            if (!_rotations.TryGetValue(reach.Rope, out (Tensor, Tensor) rotation))
                _rotations[reach.Rope] = rotation = tables[reach.Rope].For(Past, Length, input.PositionIds, _like, input.Cache);
            _contexts[reach] = context = new AttentionContext(
                AttentionMask.Seen(Length, Past, reach.Window), AttentionMask.Causal(Length, Past, reach.Window, input.AttentionMask, _like.device, input.SequenceIds), input.Cache)
            {
                Rotation = rotation,
            };
        }
        return context with { Layer = layer };
    }
}
