using System.Numerics;

namespace Lora.Llm;

/// <summary>Fills rows of a fixed length with short examples by first-fit decreasing (Johnson 1973): rows are at most 11/9 of the fewest possible, and a constant more.</summary>
internal static class Packing
{
    /// <summary>Says which examples share a row. The same lengths in the same order give the same rows; the number of rows depends on the lengths alone.</summary>
    /// <param name="order">The examples; those of one length are placed in this order.</param>
    /// <param name="lengths">The length of each example, at most <paramref name="capacity"/>.</param>
    /// <param name="capacity">The length of a row.</param>
    internal static List<int>[] FirstFitDecreasing(IReadOnlyList<int> order, Func<int, int> lengths, int capacity)
    {
        // A tree of maxima over the rows' free places finds the first row with room in logarithmic time. Its leaves are as many as the examples at least.
        int leaves = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, order.Count));
        int[] free = new int[2 * leaves];
        Array.Fill(free, capacity);
        var rows = new List<List<int>>();
        foreach (int example in order.OrderByDescending(lengths))
        {
            int length = lengths(example), node = 1;
            while (node < leaves) node = free[2 * node] >= length ? 2 * node : 2 * node + 1;
            int row = node - leaves;
            if (row == rows.Count) rows.Add([]);
            rows[row].Add(example);
            free[node] -= length;
            while ((node /= 2) > 0) free[node] = Math.Max(free[2 * node], free[2 * node + 1]);
        }
        return [.. rows];
    }
}
