using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Invocation;

/// <summary>The token ids of a batch as far as they are known, up to the last position of a pass, and on which positions an adapter that waits for certain tokens acts.</summary>
internal sealed class SeenTokens : IDisposable
{
    private readonly List<long>[] _rows;
    private readonly Dictionary<IReadOnlyList<int>, long[]> _offsets = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<(IReadOnlyList<int> Tokens, string Key), Tensor> _places = [];

    /// <param name="rows">The ids of each sample, those of earlier passes first. They stay the caller's.</param>
    internal SeenTokens(List<long>[] rows) => _rows = rows;

    /// <summary>The number of samples.</summary>
    internal int Count => _rows.Length;

    /// <summary>Reads token ids of the shape <c>[batch, length]</c>.</summary>
    internal static List<long>[] RowsOf(Tensor ids)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        long[] values = ids.detach().to(ScalarType.Int64).cpu().contiguous().data<long>().ToArray();
        return [.. Enumerable.Range(0, (int)ids.shape[0]).Select(row => values.Skip(row * (int)ids.shape[1]).Take((int)ids.shape[1]).ToList())];
    }

    /// <summary>For each sample, how many of its last positions follow the beginning of the last occurrence of some tokens, that one included; 0 where they do not occur.</summary>
    internal long[] Offsets(IReadOnlyList<int> tokens)
    {
        if (_offsets.TryGetValue(tokens, out long[]? offsets)) return offsets;
        offsets = [.. _rows.Select(row => LastOccurrence(row, tokens) is int start and >= 0 ? row.Count - start : 0L)];
        _offsets.Add(tokens, offsets);
        return offsets;
    }

    /// <summary>The numbers of the positions on which an adapter acts, among all positions of an input, sample by sample; null for all of them. The tensor stays this object's.</summary>
    /// <param name="tokens">The tokens that it waits for.</param>
    /// <param name="samples">Which samples the input holds; null for all, in their order.</param>
    /// <param name="length">How many positions the input has of each sample: its last ones, where there are fewer than tokens.</param>
    /// <param name="device">Where the numbers are needed.</param>
    internal Tensor? Places(IReadOnlyList<int> tokens, long[]? samples, long length, Device device)
    {
        long[] all = Offsets(tokens);
        long[] offsets = [.. (samples is null ? all : samples.Select(sample => all[sample])).Select(offset => Math.Min(offset, length))];
        if (Array.TrueForAll(offsets, offset => offset == length)) return null;
        // The samples of an adapter are the same throughout a pass.
        string key = string.Create(CultureInfo.InvariantCulture, $"{string.Join(',', offsets)}/{length}/{device}");
        if (_places.TryGetValue((tokens, key), out Tensor? places)) return places;
        long[] numbers = [.. offsets.SelectMany((offset, row) => Enumerable.Range(0, (int)offset).Select(i => ((row + 1) * length) - offset + i))];
        places = tensor(numbers, dtype: ScalarType.Int64, device: device).DetachFromDisposeScope();
        _places.Add((tokens, key), places);
        return places;
    }

    public void Dispose()
    {
        foreach (Tensor places in _places.Values) places.Dispose();
        _places.Clear();
    }

    private static int LastOccurrence(List<long> row, IReadOnlyList<int> tokens)
    {
        int start = row.Count - tokens.Count;
        while (start >= 0 && !tokens.Index().All(token => row[start + token.Index] == token.Item)) start--;
        return start;
    }
}
