using Lora.Llm.Blocks.Passes;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>What the layers of one forward pass are told, made once for each reach among them.</summary>
/// <param name="tables">The rotary tables of each setting.</param>
/// <param name="input">What the model was called with.</param>
/// <param name="hidden">The embedded tokens, whose type and device are computed in.</param>
/// <param name="attention">The attention of the layers.</param>
/// <param name="training">Whether they train.</param>
internal sealed class AttentionContexts(IReadOnlyDictionary<RopeSettings, RotaryPositions> tables, CausalInput input, Tensor hidden, ScaledAttention attention, bool training)
{
    private readonly Dictionary<LayerReach, AttentionContext> _contexts = [];
    private readonly Dictionary<RopeSettings, ((Tensor Cosine, Tensor Sine) Tables, RowRotation? Rows)> _rotations = [];

    // The embedded tokens themselves are gone when a later layer asks.
    private readonly Tensor _like = empty([0], dtype: hidden.dtype, device: hidden.device);

    private long Length { get; } = input.InputIds.shape[1];

    private long Past { get; } = input.Cache?.Length ?? 0;

    /// <summary>What the layer at a place is told; its tensors are in the dispose scope of the first call.</summary>
    internal AttentionContext For(LayerReach reach, int layer)
    {
        if (!_contexts.TryGetValue(reach, out AttentionContext? context))
        {
            CausalReach? causal = attention.TakesBlocks(training) ? CausalReach.Of(input, reach.Window, _like) : null;
            Tensor? forbidden = causal is null ? AttentionMask.Causal(Length, Past, reach.Window, input.AttentionMask, _like.device, input.SequenceIds) : null;
            ((Tensor, Tensor) rotation, RowRotation? rows) = Rotation(reach.Rope);
            _contexts[reach] = context = new AttentionContext(AttentionMask.Seen(Length, Past, reach.Window), forbidden, input.Cache)
            {
                Rotation = rotation,
                Rows = rows,
                Causal = causal,
            };
        }
        return context with { Layer = layer };
    }

    private ((Tensor, Tensor) Tables, RowRotation? Rows) Rotation(RopeSettings settings)
    {
        if (_rotations.TryGetValue(settings, out ((Tensor, Tensor) Tables, RowRotation? Rows) rotation)) return rotation;
        (Tensor, Tensor) found = tables[settings].For(Past, Length, input.PositionIds, _like, input.Cache);
        return _rotations[settings] = (found, RowRotation.Of(found, attention.Heads, attention.HeadDimension));
    }
}
