using static TorchSharp.torch;

namespace Lora.Llm.Generation;

/// <summary>Which rows of a batch have ended, and what fills them while others go on.</summary>
/// <param name="rows">The number of rows.</param>
/// <param name="ends">The tokens that end a text.</param>
/// <param name="pad">The token that fills the rows that ended.</param>
internal sealed class RowEnds(int rows, IReadOnlyList<int> ends, long pad)
{
    private readonly bool[] _ended = new bool[rows];

    /// <summary>Whether no row goes on.</summary>
    internal bool All => Array.TrueForAll(_ended, ended => ended);

    /// <summary>Takes the next token of each row: those of rows that have ended become padding.</summary>
    internal void Take(long[] next)
    {
        for (int row = 0; row < _ended.Length; row++)
        {
            if (_ended[row]) next[row] = pad;
            else _ended[row] = ends.Contains((int)next[row]);
        }
    }

    /// <summary>Adds a column of tokens, and disposes what was before.</summary>
    internal static Tensor Grown(Tensor before, Tensor column)
    {
        using (before) return cat([before, column], 1).MoveToOuterDisposeScope();
    }
}
