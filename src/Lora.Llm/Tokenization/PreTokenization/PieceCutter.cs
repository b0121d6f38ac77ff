namespace Lora.Llm.Tokenization;

/// <summary>Turns found delimiters into pieces.</summary>
internal static class PieceCutter
{
    /// <param name="piece">The piece that was searched.</param>
    /// <param name="matches">Delimiters, relative to the piece, in order.</param>
    /// <param name="inverts">Delimiters and what lies between them change roles.</param>
    /// <param name="behavior">What becomes of a delimiter.</param>
    /// <param name="parts">Receives the pieces.</param>
    public static void Cut(TextPiece piece, List<(int Start, int Length)> matches, bool inverts, SplitBehavior behavior, List<TextPiece> parts)
    {
        if (behavior == SplitBehavior.Isolated)
        {
            Isolate(piece, matches, parts);
            return;
        }

        var spans = new List<(int Start, int End, bool IsDelimiter)>((matches.Count * 2) + 1);
        int done = 0;
        foreach ((int start, int length) in matches)
        {
            if (start > done)
            {
                spans.Add((done, start, inverts));
            }

            spans.Add((start, start + length, !inverts));
            done = start + length;
        }

        if (done < piece.Length)
        {
            spans.Add((done, piece.Length, inverts));
        }

        switch (behavior)
        {
            case SplitBehavior.Removed:
                spans.RemoveAll(span => span.IsDelimiter);
                break;
            case SplitBehavior.Contiguous:
                spans = Join(spans, (previous, current) => previous.IsDelimiter == current.IsDelimiter);
                break;
            case SplitBehavior.MergedWithPrevious:
                spans = Join(spans, (previous, current) => current.IsDelimiter && !previous.IsDelimiter);
                break;
            case SplitBehavior.MergedWithNext:
                spans = Join(spans, (previous, current) => previous.IsDelimiter && !current.IsDelimiter);
                break;
        }

        foreach ((int start, int end, _) in spans)
        {
            PieceText.Add(parts, piece.Start + start, piece.Start + end);
        }
    }

    private static void Isolate(TextPiece piece, List<(int Start, int Length)> matches, List<TextPiece> parts)
    {
        int done = piece.Start;
        foreach ((int offset, int length) in matches)
        {
            int start = piece.Start + offset;
            PieceText.Add(parts, done, start);
            PieceText.Add(parts, start, start + length);
            done = start + length;
        }

        PieceText.Add(parts, done, piece.End);
    }

    // Neighbours are compared as they were found: a joined span counts as its last member.
    private static List<(int Start, int End, bool IsDelimiter)> Join(
        List<(int Start, int End, bool IsDelimiter)> spans,
        Func<(int Start, int End, bool IsDelimiter), (int Start, int End, bool IsDelimiter), bool> belong)
    {
        var joined = new List<(int Start, int End, bool IsDelimiter)>(spans.Count);
        foreach ((int Start, int End, bool IsDelimiter) span in spans)
        {
            if (joined.Count > 0 && belong(joined[^1], span))
            {
                joined[^1] = (joined[^1].Start, span.End, span.IsDelimiter);
            }
            else
            {
                joined.Add(span);
            }
        }

        return joined;
    }
}
