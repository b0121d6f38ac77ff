using System.Security.Cryptography;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Export;

/// <summary>Computes merged tensors piece by piece, so that memory holds some rows of one tensor and the factors of its updates.</summary>
/// <param name="source">The base.</param>
/// <param name="emit">Takes the bytes, in order.</param>
internal sealed class TensorMerger(SafetensorsSource source, Action<ReadOnlySpan<byte>> emit)
{
    private const int CopyBytes = 1 << 20;

    // So many numbers are widened at a time.
    private const long PieceElements = 1 << 18;

    /// <summary>Passes on the bytes of a tensor that no adapter changes.</summary>
    internal void Copy(SafetensorsEntry entry)
    {
        for (long start = 0; start < entry.ByteCount; start += CopyBytes)
            emit(source.GetBytes(entry.Name, start, (int)Math.Min(CopyBytes, entry.ByteCount - start)));
    }

    /// <summary>Computes a tensor and passes on its bytes.</summary>
    /// <exception cref="InvalidOperationException">The result does not fit the tensor's type.</exception>
    internal MergedTensor Merge(PlannedTensor tensor)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        ScalarType type = tensor.Entry.Type.ToScalarType()!.Value, wide = type is ScalarType.Float16 or ScalarType.BFloat16 ? ScalarType.Float32 : ScalarType.Float64;
        var pieces = new Pieces(tensor.Entry);
        Update[] updates = [.. tensor.Updates.Select(update => Update.Of(update, wide))];
        foreach (Update update in updates.Where(update => update.Magnitude is not null && !update.ByRows)) update.Factor = ColumnFactor(tensor, pieces, update, wide);
        (int Index, Tensor Values, long Row)[] rows = [.. tensor.Rows.SelectMany(rows => RowsOf(rows, wide))];

        double squares = 0, change = 0, rounding = 0;
        foreach ((long start, long length) in pieces)
        {
            using var inner = NewDisposeScope();
            Tensor original = Read(source, tensor.Entry, pieces, start, length).to(wide);
            Tensor before = tensor.Replacement is { } replaced ? ReadReplacement(replaced, pieces, start, length).to(wide) : original;
            Tensor after = Changed(before, updates, start, length);
            foreach ((int index, Tensor values, long row) in rows.Where(row => row.Index >= start && row.Index < start + length))
            {
                if (ReferenceEquals(after, original)) after = original.clone();
                after[index - start] = values[row];
            }
            Tensor rounded = after.to(type).contiguous();
            squares += SumOfSquares(original);
            change += SumOfSquares(after.sub(original));
            rounding = Math.Max(rounding, after.numel() == 0 ? 0 : after.sub(rounded.to(wide)).abs().max().to(ScalarType.Float64).item<double>());
            // A NaN too fails the comparison.
            if (!(rounding < double.PositiveInfinity))
                throw new InvalidOperationException($"'{tensor.Name}' cannot be merged: the result holds a number that {tensor.Entry.Type.ToFileName()} cannot, an infinity or a NaN.");
            emit(rounded.bytes);
        }
        return new MergedTensor(tensor.Name, change == 0 ? 0 : Math.Sqrt(change / squares), rounding);
    }

    /// <summary>Hashes what a tensor is made of: its name, type, shape and bytes.</summary>
    internal static void Hash(IncrementalHash hash, SafetensorsSource source, PlannedTensor tensor)
    {
        hash.AppendData(System.Text.Encoding.UTF8.GetBytes($"{tensor.Name}\n{tensor.Entry}\n"));
        for (long start = 0; start < tensor.Entry.ByteCount; start += CopyBytes)
            hash.AppendData(source.GetBytes(tensor.Entry.Name, start, (int)Math.Min(CopyBytes, tensor.Entry.ByteCount - start)));
    }

    private static double SumOfSquares(Tensor tensor) => tensor.to(ScalarType.Float64).square().sum().item<double>();

    private static Tensor Changed(Tensor before, Update[] updates, long start, long length)
    {
        Tensor after = before;
        foreach (Update update in updates)
        {
            Tensor delta = update.Left.narrow(0, start, length).matmul(update.Right);
            if (update.Magnitude is null) after = after.add(delta);
            else
            {
                // What DoRA makes of the base, as a difference from it, goes onto what other adapters have made.
                Tensor sum = before.add(delta);
                Tensor own = sum.mul(update.ByRows ? Factor(update.Magnitude.narrow(0, start, length), sum.square().sum([1L])).unsqueeze(1) : update.Factor!);
                after = ReferenceEquals(after, before) ? own : after.add(own.sub(before));
            }
        }
        return after;
    }

    // The norms of columns need all rows at once.
    private Tensor ColumnFactor(PlannedTensor tensor, Pieces pieces, Update update, ScalarType wide)
    {
        using var scope = NewDisposeScope();
        Tensor squares = zeros(pieces.Columns, dtype: wide);
        foreach ((long start, long length) in pieces)
        {
            using var inner = NewDisposeScope();
            Tensor before = (tensor.Replacement is { } replaced ? ReadReplacement(replaced, pieces, start, length) : Read(source, tensor.Entry, pieces, start, length)).to(wide);
            squares.add_(before.add(update.Left.narrow(0, start, length).matmul(update.Right)).square().sum([0L]));
        }
        return Factor(update.Magnitude!, squares).unsqueeze(0).MoveToOuterDisposeScope();
    }

    // A row of zeros has no direction: its norm counts as 1.
    private static Tensor Factor(Tensor magnitude, Tensor squares)
    {
        Tensor norms = squares.sqrt();
        return magnitude.div(norms.add(norms.eq(0)));
    }

    private static IEnumerable<(int, Tensor, long)> RowsOf(RowReplacement rows, ScalarType wide)
    {
        Tensor values = rows.File.ReadTensor(rows.Name).to(wide);
        return rows.Indices.Select((index, row) => (index, values, (long)row));
    }

    private static Tensor ReadReplacement((SafetensorsFile File, string Name) replaced, Pieces pieces, long start, long length)
    {
        _ = replaced.File.TryGetEntry(replaced.Name, out SafetensorsEntry? entry);
        return Read(replaced.File, entry!, pieces, start, length);
    }

    private static Tensor Read(SafetensorsSource file, SafetensorsEntry entry, Pieces pieces, long start, long length)
    {
        Tensor piece = empty([length, pieces.Columns], entry.Type.ToScalarType()!.Value);
        int bytes = entry.Type.BitsPerElement() / 8;
        if (piece.numel() > 0) file.GetBytes(entry.Name, start * pieces.Columns * bytes, checked((int)(length * pieces.Columns * bytes))).CopyTo(piece.bytes);
        return piece;
    }

    /// <summary>The rows of a tensor, some at a time.</summary>
    private sealed class Pieces(SafetensorsEntry entry) : System.Collections.IEnumerable
    {
        internal long Rows { get; } = entry.Shape is [] ? 1 : entry.Shape[0];

        internal long Columns { get; } = entry.Shape.Skip(1).Aggregate(1L, (product, size) => product * size);

        public IEnumerator<(long Start, long Length)> GetEnumerator()
        {
            long step = Math.Max(1, PieceElements / Math.Max(1, Columns));
            for (long start = 0; start < Rows; start += step) yield return (start, Math.Min(step, Rows - start));
        }

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }

    /// <summary>The factors of an update in memory.</summary>
    private sealed class Update
    {
        internal required Tensor Left { get; init; }

        internal required Tensor Right { get; init; }

        internal required Tensor? Magnitude { get; init; }

        internal required bool ByRows { get; init; }

        /// <summary>What columns are multiplied by.</summary>
        internal Tensor? Factor { get; set; }

        internal static Update Of(LowRankUpdate update, ScalarType wide) => new()
        {
            Left = update.ReadLeft(wide).contiguous(),
            Right = update.ReadRight(wide).contiguous(),
            Magnitude = update.Magnitude is null ? null : update.ReadMagnitude(wide),
            ByRows = update.NormalizesRows,
        };
    }
}
