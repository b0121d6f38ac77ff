using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lora.Mixing;

/// <summary>
/// y += s·B·(A·x) for some rows of x and y, in float32. Rows are read and written where they lie, whatever their order, and no temporary is larger than a block.
/// </summary>
internal static class RowKernel<TWidth, TVector>
    where TWidth : struct, IVectorWidth<TVector>
    where TVector : struct
{
    // So many rows are worked on at a time, and so many columns of y: what they need stays in the nearest cache.
    private const int BlockRows = 64;
    private const int BlockColumns = 128;

    // Without it the first versions that are compiled of a method are many times slower, and the first passes of a process have to do with them.
    private const MethodImplOptions Optimized = MethodImplOptions.AggressiveOptimization;

    /// <summary>How many numbers of scratch memory <see cref="Add"/> needs.</summary>
    internal static int ScratchFor(int rank) => (rank * (BlockRows + BlockColumns)) + rank + BlockColumns;

    /// <summary>Adds the terms of one adapter.</summary>
    /// <param name="y">What is added to, rows of the width out.</param>
    /// <param name="x">The input, rows of the width in.</param>
    /// <param name="a">A, shape <c>[r, in]</c>.</param>
    /// <param name="b">B, shape <c>[out, r]</c>.</param>
    /// <param name="rank">r.</param>
    /// <param name="scale">s.</param>
    /// <param name="samples">The samples that use the adapter.</param>
    /// <param name="tokens">How many rows each sample has.</param>
    /// <param name="scratch">Memory of <see cref="ScratchFor"/> numbers; what is in it does not matter.</param>
    [MethodImpl(Optimized)]
    internal static void Add(Span<float> y, ReadOnlySpan<float> x, ReadOnlySpan<float> a, ReadOnlySpan<float> b, int rank, double scale, long[] samples, int tokens, Span<float> scratch)
    {
        int width = a.Length / rank, columns = b.Length / rank;
        Span<float> narrow = scratch[..((BlockRows + 1) * rank)], up = scratch.Slice(narrow.Length, rank * BlockColumns), unused = scratch.Slice(narrow.Length + up.Length, BlockColumns);
        Span<int> rows = stackalloc int[BlockRows];
        int all = samples.Length * tokens;
        for (int first = 0; first < all; first += BlockRows)
        {
            int count = Math.Min(BlockRows, all - first);
            for (int i = 0; i < count; i++) rows[i] = (int)(samples[(first + i) / tokens] * tokens) + ((first + i) % tokens);
            Down(x, width, a, rank, scale, rows[..count], narrow);
            narrow.Slice(count * rank, rank).Clear(); // of a row that makes up a pair
            for (int column = 0; column < columns; column += BlockColumns)
            {
                int some = Math.Min(BlockColumns, columns - column);
                Transpose(b.Slice(column * rank, some * rank), rank, up);
                for (int i = 0; i < count; i += 2)
                {
                    ref float other = ref i + 1 < count ? ref y[(rows[i + 1] * columns) + column] : ref unused[0];
                    Up(ref y[(rows[i] * columns) + column], ref other, some, ref narrow[i * rank], ref narrow[(i + 1) * rank], rank, ref up[0]);
                }
            }
        }
    }

    // narrow = s·x·Aᵀ, two rows and four columns at a time; at the ends some twice.
    [MethodImpl(Optimized)]
    private static void Down(ReadOnlySpan<float> x, int width, ReadOnlySpan<float> a, int rank, double scale, ReadOnlySpan<int> rows, Span<float> narrow)
    {
        Span<float> sums = stackalloc float[8];
        for (int i = 0; i < rows.Length; i += 2)
        {
            int j = Math.Min(i + 1, rows.Length - 1);
            ref float one = ref Unsafe.AsRef(in x[rows[i] * width]), two = ref Unsafe.AsRef(in x[rows[j] * width]);
            for (int k = 0; k < rank; k += 4)
            {
                int k1 = Math.Min(k + 1, rank - 1), k2 = Math.Min(k + 2, rank - 1), k3 = Math.Min(k + 3, rank - 1);
                Dots(ref one, ref two, ref Row(a, k, width), ref Row(a, k1, width), ref Row(a, k2, width), ref Row(a, k3, width), (nuint)width, sums);
                Span<float> target = narrow.Slice(i * rank, rank);
                (target[k], target[k1], target[k2], target[k3]) = ((float)(scale * sums[0]), (float)(scale * sums[1]), (float)(scale * sums[2]), (float)(scale * sums[3]));
                target = narrow.Slice(j * rank, rank); // The same row has the same sums.
                (target[k], target[k1], target[k2], target[k3]) = ((float)(scale * sums[4]), (float)(scale * sums[5]), (float)(scale * sums[6]), (float)(scale * sums[7]));
            }
        }
    }

    private static ref float Row(ReadOnlySpan<float> matrix, int row, int width) => ref Unsafe.Add(ref MemoryMarshal.GetReference(matrix), row * width);

    [MethodImpl(Optimized)]
    private static void Dots(ref float one, ref float two, ref float a0, ref float a1, ref float a2, ref float a3, nuint width, Span<float> sums)
    {
        TVector p0 = default, p1 = default, p2 = default, p3 = default, q0 = default, q1 = default, q2 = default, q3 = default;
        nuint at = 0, step = (nuint)TWidth.Count;
        for (; at + step <= width; at += step)
        {
            TVector p = TWidth.Load(ref one, at), q = TWidth.Load(ref two, at);
            TVector a = TWidth.Load(ref a0, at);
            p0 = TWidth.MultiplyAdd(a, p, p0);
            q0 = TWidth.MultiplyAdd(a, q, q0);
            a = TWidth.Load(ref a1, at);
            p1 = TWidth.MultiplyAdd(a, p, p1);
            q1 = TWidth.MultiplyAdd(a, q, q1);
            a = TWidth.Load(ref a2, at);
            p2 = TWidth.MultiplyAdd(a, p, p2);
            q2 = TWidth.MultiplyAdd(a, q, q2);
            a = TWidth.Load(ref a3, at);
            p3 = TWidth.MultiplyAdd(a, p, p3);
            q3 = TWidth.MultiplyAdd(a, q, q3);
        }
        (sums[0], sums[1], sums[2], sums[3]) = (TWidth.Sum(p0), TWidth.Sum(p1), TWidth.Sum(p2), TWidth.Sum(p3));
        (sums[4], sums[5], sums[6], sums[7]) = (TWidth.Sum(q0), TWidth.Sum(q1), TWidth.Sum(q2), TWidth.Sum(q3));
        for (; at < width; at++)
        {
            float p = Unsafe.Add(ref one, at), q = Unsafe.Add(ref two, at);
            float v0 = Unsafe.Add(ref a0, at), v1 = Unsafe.Add(ref a1, at), v2 = Unsafe.Add(ref a2, at), v3 = Unsafe.Add(ref a3, at);
            sums[0] += p * v0;
            sums[1] += p * v1;
            sums[2] += p * v2;
            sums[3] += p * v3;
            sums[4] += q * v0;
            sums[5] += q * v1;
            sums[6] += q * v2;
            sums[7] += q * v3;
        }
    }

    // Columns of y lie side by side, as those of B do not.
    [MethodImpl(Optimized)]
    private static void Transpose(ReadOnlySpan<float> b, int rank, Span<float> up)
    {
        ref float from = ref MemoryMarshal.GetReference(b), to = ref MemoryMarshal.GetReference(up);
        int columns = b.Length / rank;
        for (int k = 0; k < rank; k++)
        {
            ref float line = ref Unsafe.Add(ref to, k * BlockColumns);
            for (int column = 0; column < columns; column++) Unsafe.Add(ref line, column) = Unsafe.Add(ref from, (column * rank) + k);
        }
    }

    // Two rows of y, four vectors at a time, then one, then single numbers.
    [MethodImpl(Optimized)]
    private static void Up(ref float one, ref float two, int columns, ref float narrowOne, ref float narrowTwo, int rank, ref float up)
    {
        int count = TWidth.Count, column = 0;
        for (; column + (4 * count) <= columns; column += 4 * count)
        {
            nuint at = (nuint)column, next = at + (nuint)count, third = next + (nuint)count, last = third + (nuint)count;
            TVector p0 = TWidth.Load(ref one, at), p1 = TWidth.Load(ref one, next), p2 = TWidth.Load(ref one, third), p3 = TWidth.Load(ref one, last);
            TVector q0 = TWidth.Load(ref two, at), q1 = TWidth.Load(ref two, next), q2 = TWidth.Load(ref two, third), q3 = TWidth.Load(ref two, last);
            for (int k = 0; k < rank; k++)
            {
                ref float line = ref Unsafe.Add(ref up, k * BlockColumns);
                TVector p = TWidth.Of(Unsafe.Add(ref narrowOne, k)), q = TWidth.Of(Unsafe.Add(ref narrowTwo, k));
                TVector b = TWidth.Load(ref line, at);
                p0 = TWidth.MultiplyAdd(b, p, p0);
                q0 = TWidth.MultiplyAdd(b, q, q0);
                b = TWidth.Load(ref line, next);
                p1 = TWidth.MultiplyAdd(b, p, p1);
                q1 = TWidth.MultiplyAdd(b, q, q1);
                b = TWidth.Load(ref line, third);
                p2 = TWidth.MultiplyAdd(b, p, p2);
                q2 = TWidth.MultiplyAdd(b, q, q2);
                b = TWidth.Load(ref line, last);
                p3 = TWidth.MultiplyAdd(b, p, p3);
                q3 = TWidth.MultiplyAdd(b, q, q3);
            }
            TWidth.Store(p0, ref one, at);
            TWidth.Store(p1, ref one, next);
            TWidth.Store(p2, ref one, third);
            TWidth.Store(p3, ref one, last);
            TWidth.Store(q0, ref two, at);
            TWidth.Store(q1, ref two, next);
            TWidth.Store(q2, ref two, third);
            TWidth.Store(q3, ref two, last);
        }
        for (; column + count <= columns; column += count)
        {
            nuint at = (nuint)column;
            TVector p0 = TWidth.Load(ref one, at), q0 = TWidth.Load(ref two, at);
            for (int k = 0; k < rank; k++)
            {
                TVector b = TWidth.Load(ref up, (nuint)(k * BlockColumns) + at);
                p0 = TWidth.MultiplyAdd(b, TWidth.Of(Unsafe.Add(ref narrowOne, k)), p0);
                q0 = TWidth.MultiplyAdd(b, TWidth.Of(Unsafe.Add(ref narrowTwo, k)), q0);
            }
            TWidth.Store(p0, ref one, at);
            TWidth.Store(q0, ref two, at);
        }
        for (; column < columns; column++)
        {
            for (int k = 0; k < rank; k++)
            {
                float b = Unsafe.Add(ref up, (k * BlockColumns) + column);
                Unsafe.Add(ref one, column) += b * Unsafe.Add(ref narrowOne, k);
                Unsafe.Add(ref two, column) += b * Unsafe.Add(ref narrowTwo, k);
            }
        }
    }
}
