using System.Buffers;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Lora.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Mixing;

/// <summary>
/// Adds the terms of linear adapters to their rows in place with this library's own arithmetic, for inference on a CPU. Each adapter has few rows and a small rank: its
/// products take less time than libtorch needs to be told of them, and than rows take to be gathered and scattered.
/// </summary>
internal static class RowsInCode
{
    // Multiplications and additions. Above, libtorch's threads, where it has several, are worth its calls; this is one thread's work.
    private const long MostBesideThreads = 1 << 20;

    /// <summary>Adds the terms where this way is possible and the fastest.</summary>
    /// <param name="sum">What the terms are added to.</param>
    /// <param name="input">The layer's input.</param>
    /// <param name="selection">The rows of each adapter.</param>
    /// <param name="adapters">The adapters, one for each group of the selection.</param>
    /// <returns>Whether they were; where not, nothing was changed.</returns>
    internal static bool TryAdd(Tensor sum, Tensor input, RowSelection selection, LoraAdapter[] adapters)
    {
        if (!IsPlain(sum) || input.dim() < 2) return false;
        long columns = sum.shape[^1], width = input.shape[^1], rows = sum.numel() / columns;
        if (input.numel() != rows * width || !FitsSpan(input.numel()) || !Array.TrueForAll(adapters, adapter => IsReady(adapter, columns, width))) return false;
        int tokens = (int)(rows / input.shape[0]);
        if (get_num_threads() > 1 && Work(selection, adapters) * tokens * (columns + width) > MostBesideThreads) return false;

        using var scope = NewDisposeScope();
        Tensor x = (input.dtype == ScalarType.Float32 ? input : input.to(ScalarType.Float32)).contiguous();
        bool wide = Vector512.IsHardwareAccelerated;
        float[] scratch = ArrayPool<float>.Shared.Rent(adapters.Max(adapter => wide ? RowKernel<SixteenWide, Vector512<float>>.ScratchFor(adapter.Rank) : RowKernel<EightWide, Vector256<float>>.ScratchFor(adapter.Rank)));
        for (int g = 0; g < adapters.Length; g++)
        {
            (Tensor a, Tensor b) = (adapters[g].A, adapters[g].B);
            if (wide) RowKernel<SixteenWide, Vector512<float>>.Add(Numbers(sum), Numbers(x), Numbers(a), Numbers(b), adapters[g].Rank, adapters[g].Scale, selection.Groups[g].Rows, tokens, scratch);
            else RowKernel<EightWide, Vector256<float>>.Add(Numbers(sum), Numbers(x), Numbers(a), Numbers(b), adapters[g].Rank, adapters[g].Scale, selection.Groups[g].Rows, tokens, scratch);
            GC.KeepAlive(a);
            GC.KeepAlive(b);
        }
        ArrayPool<float>.Shared.Return(scratch);
        GC.KeepAlive(x);
        GC.KeepAlive(sum);
        return true;
    }

    private static bool IsReady(LoraAdapter adapter, long columns, long width) =>
        adapter is LinearAdapter && (adapter.Dropout == 0 || !adapter.training)
        && IsPlain(adapter.A) && IsPlain(adapter.B) && adapter.A.numel() == adapter.Rank * width && adapter.B.numel() == columns * adapter.Rank;

    private static bool IsPlain(Tensor tensor) =>
        tensor.dtype == ScalarType.Float32 && tensor.device_type == DeviceType.CPU && tensor.is_contiguous() && FitsSpan(tensor.numel());

    private static bool FitsSpan(long numbers) => numbers is > 0 and <= int.MaxValue / sizeof(float);

    private static long Work(RowSelection selection, LoraAdapter[] adapters)
    {
        long work = 0;
        for (int g = 0; g < adapters.Length; g++) work += (long)selection.Groups[g].Rows.Length * adapters[g].Rank;
        return work;
    }

    private static Span<float> Numbers(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);
}
