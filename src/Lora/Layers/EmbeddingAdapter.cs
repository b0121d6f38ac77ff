using static TorchSharp.torch;
using TorchSharp.Modules;

namespace Lora.Layers;

/// <summary>The adapter of an embedding: A is <c>[r, num]</c>, one column for each index, and B is <c>[dim, r]</c>.</summary>
/// <remarks>
/// A is zero and B is drawn from N(0, 1): the other way round than elsewhere, since the rows of a zero B would give A no gradient, while each column of a zero
/// A has one as soon as its index occurs. Where an output head shares the adapter, B is drawn from U(−1/√dim, 1/√dim). Dropout is not applied, as in PEFT. A norm that the base embedding limits its rows to is not applied to A.
/// </remarks>
public sealed class EmbeddingAdapter : LoraAdapter
{
    /// <summary>Creates a fresh adapter.</summary>
    /// <param name="adapterName">Its name.</param>
    /// <param name="count">The number of indices.</param>
    /// <param name="width">The width of the layer's output.</param>
    /// <param name="settings">Rank, alpha, scale and padding index.</param>
    /// <param name="dataType">The type of A and B.</param>
    /// <param name="device">Where A and B live.</param>
    /// <exception cref="ArgumentOutOfRangeException">The padding index is none of the indices.</exception>
    public EmbeddingAdapter(string adapterName, long count, long width, AdapterSettings settings, ScalarType dataType, Device device)
        : base(
            nameof(EmbeddingAdapter), adapterName, settings, zeros([settings.Rank, count], dtype: dataType, device: device), Up(width, settings, dataType, device))
    {
        PaddingIndex = settings.PaddingIndex is long index ? FromStart(index, count) : null;
        SharesWithHead = settings.SharesWithHead;
        RegisterComponents();
    }

    /// <summary>The index whose column of A receives no gradient; null for none.</summary>
    public long? PaddingIndex { get; }

    /// <summary>Whether an output head over the embedding's weight has the same adapter.</summary>
    internal bool SharesWithHead { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [new("lora_embedding_A", A), new("lora_embedding_B", B), .. VariantTensors];

    /// <inheritdoc/>
    internal override bool DropsInput => false;

    /// <summary>Computes s·Bᵀ applied to the columns of A that the indices pick.</summary>
    /// <param name="input">Indices of any shape.</param>
    /// <returns>A new tensor of the shape <c>[…, dim]</c> in the type of A, which belongs to the current dispose scope.</returns>
    public override Tensor Term(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor indices = input.flatten();
        Tensor rows = A.index_select(1, indices).t();
        // The value of the padding column counts, but nothing is learnt through it.
        if (PaddingIndex is long padding) rows = where(indices.eq(padding).unsqueeze(1), rows.detach(), rows);
        return nn.functional.linear(rows.mul(Scale), B).view([.. input.shape, B.shape[0]]).MoveToOuterDisposeScope();
    }

    /// <summary>Computes ΔW in the shape of the table, <c>[num, dim]</c>, in float32 at least, without a gradient.</summary>
    /// <returns>A new tensor, which belongs to the current dispose scope.</returns>
    public override Tensor ComputeDelta()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return A.to(WideType).mul(Scale).t().matmul(B.to(WideType).t()).MoveToOuterDisposeScope();
    }

    /// <summary>Computes s·Aᵀ·Bᵀ·dropout(x) for an output head over the embedding's weight, shape <c>[…, num]</c>.</summary>
    internal Tensor HeadTerm(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor narrow = nn.functional.linear(Prepared(input), B.t()).mul(Scale);
        return nn.functional.linear(narrow, A.t()).MoveToOuterDisposeScope();
    }

    internal static bool IsIndex(long index, long count) => index >= -count && index < count;

    private static long FromStart(long index, long count)
    {
        if (!IsIndex(index, count)) throw new ArgumentOutOfRangeException(nameof(index), index, $"The padding index must be one of the {count} indices of the embedding.");
        return index < 0 ? index + count : index;
    }

    private static Tensor Up(long width, AdapterSettings settings, ScalarType dataType, Device device)
    {
        using var noGrad = no_grad();
        Tensor b = empty([width, settings.Rank], dtype: dataType, device: device);
        if (!settings.Initialize) return b;
        // For the head, Bᵀ is what A is for other layers, and is drawn so, as in PEFT.
        double bound = 1 / Math.Sqrt(width);
        return settings.SharesWithHead ? nn.init.uniform_(b, -bound, bound) : nn.init.normal_(b, 0, 1);
    }
}
