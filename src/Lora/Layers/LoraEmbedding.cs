using Lora.Variants;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// An embedding with low-rank adapters: y = E[i] + Σ s·B·A[:, i] over the active ones, with the table E frozen.
/// </summary>
/// <remarks>
/// <para>Use it by hand in a module of your own, in a field of type <c>Module&lt;Tensor, Tensor&gt;</c>:
/// <c>_tokens = new LoraEmbedding(nn.Embedding(32000, 512), rank: 8, alpha: 16);</c></para>
/// <para>A <c>max_norm</c> of the base layer, which TorchSharp does not tell, shortens rows of its table only: those of E before merging, those of the sum after it. Merged and
/// unmerged outputs differ then.</para>
/// </remarks>
public sealed class LoraEmbedding : LoraLayer
{
    private readonly Func<Parameter> _table;

    /// <summary>Adapts an embedding by hand. The new layer owns <paramref name="baseLayer"/> as its child <c>base_layer</c> and freezes it.</summary>
    /// <param name="baseLayer">The embedding.</param>
    /// <param name="rank">The rank r.</param>
    /// <param name="alpha">The numerator of the scale.</param>
    /// <param name="useRankStabilizedScaling">Whether the scale is alpha / √r instead of alpha / r.</param>
    /// <param name="paddingIndex">
    /// The index whose column of A receives no gradient, counted from the end where it is negative. Give the one that the embedding was made with, which
    /// TorchSharp does not tell.
    /// </param>
    /// <param name="useDora">Whether the length of each dimension's column, over all indices, trains apart from its direction; see <see cref="DoraVariant"/>.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public LoraEmbedding(Embedding baseLayer, int rank = 8, double alpha = 8, bool useRankStabilizedScaling = false, long? paddingIndex = null, bool useDora = false)
        : this(baseLayer, () => TableOf(baseLayer), ownsBase: true) =>
        Begin(AdapterSettings.Of(rank, alpha, dropout: 0, useRankStabilizedScaling, useDora: useDora) with { PaddingIndex = paddingIndex });

    /// <summary>Adapts a layer of any class that looks rows of a table up, without an adapter at first.</summary>
    /// <param name="baseLayer">The layer; its input is indices, its output rows.</param>
    /// <param name="table">Gives the table as it is registered, shape <c>[num, dim]</c>. It is asked anew each time, since moving a model may replace it.</param>
    /// <param name="ownsBase">Whether the base layer becomes a child of this one, which it does not when this one is a hook beside it.</param>
    public LoraEmbedding(nn.Module<Tensor, Tensor> baseLayer, Func<Parameter> table, bool ownsBase)
        : base(nameof(LoraEmbedding), baseLayer, ownsBase)
    {
        ArgumentNullException.ThrowIfNull(table);
        _table = table;
    }

    /// <summary>The table, <c>[num, dim]</c>.</summary>
    internal Parameter BaseWeight => _table();

    /// <summary>The number of indices.</summary>
    public long Count => _table().shape[0];

    /// <summary>The width of the layer's output.</summary>
    public long Width => _table().shape[1];

    /// <inheritdoc/>
    public override string Signature => $"{Count}→{Width}";

    // Embedding.weight is a new wrapper each time it is asked for; the parameter that is registered is one and the same.
    internal static Parameter TableOf(Embedding embedding) => embedding.get_parameter("weight")!;

    /// <inheritdoc/>
    private protected override AdaptedWeight AdaptedWeight => new EmbeddingWeight(_table);

    /// <inheritdoc/>
    protected override LoraAdapter Create(string name, AdapterSettings settings)
    {
        Parameter table = _table();
        return new EmbeddingAdapter(name, table.shape[0], table.shape[1], settings, AdapterSettings.TypeOver(table.dtype), table.device);
    }

    /// <inheritdoc/>
    protected override IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        yield return WeightChange.Product(_table(), adapter.A.t(), adapter.B.t(), adapter.Scale);
    }
}
