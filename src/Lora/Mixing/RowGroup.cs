namespace Lora.Mixing;

/// <summary>The rows of a batch that use one adapter.</summary>
internal sealed class RowGroup
{
    private IReadOnlyList<RowRun>? _runs;

    /// <param name="name">The adapter's name.</param>
    /// <param name="rows">The rows, in ascending order; at least one.</param>
    internal RowGroup(string name, long[] rows)
    {
        Name = name;
        Rows = rows;
        long step = rows.Length > 1 ? rows[1] - rows[0] : 1;
        Whole = new RowRun(rows[0], rows.Length, step);
        IsRegular = true;
        for (int i = 2; i < rows.Length && IsRegular; i++) IsRegular = rows[i] - rows[i - 1] == step;
    }

    internal string Name { get; }

    internal long[] Rows { get; }

    /// <summary>Whether the distance from each row to the next is the same, so that <see cref="Whole"/> describes all of them.</summary>
    internal bool IsRegular { get; }

    /// <summary>All rows, where they are regular.</summary>
    internal RowRun Whole { get; }

    /// <summary>The rows in as few stretches of neighbours as possible.</summary>
    internal IReadOnlyList<RowRun> Runs => _runs ??= RunsOf(Rows);

    private static List<RowRun> RunsOf(long[] rows)
    {
        var runs = new List<RowRun>();
        int begin = 0;
        for (int i = 1; i <= rows.Length; i++)
        {
            if (i < rows.Length && rows[i] == rows[i - 1] + 1) continue;
            runs.Add(new RowRun(rows[begin], i - begin, 1));
            begin = i;
        }
        return runs;
    }
}
