using Lora.Combining;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// The adapter of a fused linear layer: one low-rank pair for each enabled part of the output. With n of them, A is <c>[n·r, in]</c>, their down-projections one
/// beneath the other, and B is <c>[w, r]</c>, their up-projections likewise, where w is the width of the enabled parts together.
/// </summary>
/// <remarks>
/// The layout is that of loralib's MergedLinear. A is drawn Kaiming-uniform with a = √5, that is from U(−1/√in, 1/√in), and B is zero, so a fresh adapter changes
/// nothing.
/// </remarks>
public sealed class FusedLinearAdapter : LoraAdapter
{
    private readonly FusedParts _parts;

    internal FusedLinearAdapter(string adapterName, long inFeatures, FusedParts parts, AdapterSettings settings, ScalarType dataType, Device device)
        : base(
            nameof(FusedLinearAdapter), adapterName, settings, Down(inFeatures, parts, settings, dataType, device),
            zeros([parts.EnabledWidth, settings.Rank], dtype: dataType, device: device))
    {
        _parts = parts;
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => ModuleTensors;

    /// <summary>The parts of the layer's output in their order, each with its width and whether it has a pair.</summary>
    internal IReadOnlyList<(long Width, bool IsEnabled)> OutputParts => _parts.All;

    /// <summary>The matrix <c>[out, n·r]</c> which, times A, gives B·A of every part in its place; the new tensor belongs to the current dispose scope.</summary>
    internal Tensor UpMatrix
    {
        get
        {
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            Tensor whole = B.new_zeros([_parts.All.Sum(part => part.Width), A.shape[0]]);
            long row = 0, used = 0, column = 0;
            foreach ((long width, bool enabled) in _parts.All)
            {
                if (enabled)
                {
                    whole.narrow(0, row, width).narrow(1, column, Rank).copy_(B.narrow(0, used, width));
                    used += width;
                    column += Rank;
                }
                row += width;
            }
            return whole.MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public override Tensor Term(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor narrow = nn.functional.linear(Prepared(input), A).mul(Scale);
        long[] places = narrow.shape[..^1];
        var terms = new List<Tensor>();
        long used = 0, column = 0;
        foreach ((long width, bool enabled) in _parts.All)
        {
            if (!enabled)
            {
                terms.Add(narrow.new_zeros([.. places, width]));
                continue;
            }
            terms.Add(nn.functional.linear(narrow.narrow(-1, column, Rank), B.narrow(0, used, width)));
            used += width;
            column += Rank;
        }
        return cat(terms, -1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor ComputeDelta()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return UpMatrix.to(WideType).mul(Scale).matmul(A.to(WideType)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Each enabled part is a block. Parts of different widths are none that a batch of matrices could hold.</remarks>
    internal override LowRank? ToLowRank() => _parts.All.Where(part => part.IsEnabled).Select(part => part.Width).Distinct().Count() > 1
        ? null
        : new LowRank(A.detach().to(WideType).reshape(_parts.EnabledCount, Rank, -1), B.detach().to(WideType).reshape(_parts.EnabledCount, -1, Rank));

    private static Tensor Down(long inFeatures, FusedParts parts, AdapterSettings settings, ScalarType dataType, Device device)
    {
        using var noGrad = no_grad();
        Tensor a = empty([parts.EnabledCount * settings.Rank, inFeatures], dtype: dataType, device: device);
        return settings.Initialize ? nn.init.kaiming_uniform_(a, Math.Sqrt(5)) : a;
    }
}
