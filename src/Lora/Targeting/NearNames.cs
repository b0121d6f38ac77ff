namespace Lora.Targeting;

/// <summary>Finds what someone may have meant by a name that matches nothing.</summary>
internal static class NearNames
{
    /// <summary>
    /// Returns the endings of module paths that are closest to a wanted name, nearest first. As many segments of each path are compared as
    /// the name has, so that <c>attn.q_porj</c> finds <c>attn.q_proj</c> once, however many layers have it.
    /// </summary>
    internal static IReadOnlyList<string> Find(string wanted, IEnumerable<string> candidates, int count)
    {
        int segments = wanted.Count(c => c == '.') + 1;
        int limit = Math.Max(2, wanted.Length / 3);
        return [.. candidates
            .Select(path => Ending(path, segments))
            .Distinct(StringComparer.Ordinal)
            .Where(name => Math.Abs(name.Length - wanted.Length) <= limit)
            .Select(name => (Name: name, Distance: Distance(wanted, name)))
            .Where(near => near.Distance <= limit && near.Distance < wanted.Length)
            .OrderBy(near => near.Distance)
            .Take(count)
            .Select(near => near.Name)];
    }

    private static string Ending(string path, int segments)
    {
        string[] parts = path.Split('.');
        return string.Join('.', parts[^Math.Min(segments, parts.Length)..]);
    }

    /// <summary>Insertions, deletions, substitutions and swaps of neighbours, without regard to case.</summary>
    private static int Distance(string a, string b)
    {
        int[,] cost = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                cost[i, j] = i == 0 || j == 0 ? i + j : Math.Min(
                    Math.Min(cost[i - 1, j] + 1, cost[i, j - 1] + 1),
                    cost[i - 1, j - 1] + (Same(a[i - 1], b[j - 1]) ? 0 : 1));
                if (i > 1 && j > 1 && Same(a[i - 1], b[j - 2]) && Same(a[i - 2], b[j - 1]))
                {
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
                }
            }
        }

        return cost[a.Length, b.Length];
    }

    private static bool Same(char x, char y) => char.ToLowerInvariant(x) == char.ToLowerInvariant(y);
}
