using Lora.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Mixing;

/// <summary>
/// Mixing for linear layers. Off the CPU, where each launch costs more than the arithmetic, the adapters become one of the rank Σr, and a mask leaves each
/// row its own part of it: three products, whatever the number of adapters. On a CPU, where the arithmetic counts, each adapter works on its own rows only:
/// in inference by the library's own arithmetic, or by libtorch's where that has several threads and enough work for them; with gradients by libtorch's.
/// </summary>
internal sealed class LinearMixing : RowMixing
{
    // From here on, the products with zeros cost more than the launches that they save.
    private const int LargestSuperRank = 512;

    internal static LinearMixing Instance { get; } = new();

    internal override Tensor Add(Tensor sum, Tensor input, RowSelection selection, LoraAdapter[] adapters, bool inPlace)
    {
        if (!Array.TrueForAll(adapters, adapter => adapter.Mixing is LinearMixing)) return base.Add(sum, input, selection, adapters, inPlace);
        if (input.device_type != DeviceType.CPU && SuperRankFits(adapters)) return SuperRank(sum, input, selection, adapters, inPlace);
        if (inPlace && RowsInCode.TryAdd(sum, input, selection, adapters)) return sum;
        return inPlace && RowsInPlace.CanWriteTo(sum) ? RowsInPlace.Add(sum, input, selection, [.. adapters.Cast<LinearAdapter>()]) : base.Add(sum, input, selection, adapters, inPlace);
    }

    internal static bool SuperRankFits(LoraAdapter[] adapters)
    {
        LoraAdapter first = adapters[0];
        return adapters.Sum(adapter => adapter.Rank) <= LargestSuperRank
            && Array.TrueForAll(adapters, adapter => adapter.A.dtype == first.A.dtype && (adapter.Dropout == first.Dropout || !adapter.training));
    }

    /// <summary>y + ((x·[A₁; …; A_G]ᵀ) ⊙ M)·[B₁, …, B_G]ᵀ with the scales in the mask M.</summary>
    internal static Tensor SuperRank(Tensor sum, Tensor input, RowSelection selection, LoraAdapter[] adapters, bool inPlace)
    {
        Tensor down = cat([.. adapters.Select(adapter => adapter.A)], 0), up = cat([.. adapters.Select(adapter => adapter.B)], 1);
        Tensor mask = selection.Mask([.. adapters.Select(adapter => (adapter.Rank, adapter.Scale))], down.dtype, input.device);
        long[] shape = new long[input.dim()];
        Array.Fill(shape, 1);
        (shape[0], shape[^1]) = (mask.shape[0], mask.shape[1]);
        Tensor narrow = nn.functional.linear(adapters[0].Prepared(input), down).mul(mask.view(shape));
        if (!inPlace || sum.dtype != up.dtype || !sum.is_contiguous()) return sum.add(nn.functional.linear(narrow, up));
        sum.view(-1, up.shape[0]).addmm_(narrow.view(-1, up.shape[1]), up.t());
        return sum;
    }
}
