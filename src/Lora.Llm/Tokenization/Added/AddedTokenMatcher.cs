using System.Buffers;
using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Finds added tokens in a text: the leftmost first, and of several that start together the longest.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly SearchValues<string> _starts;
    private readonly Dictionary<string, AddedToken>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private readonly int[] _lengths;

    /// <param name="patterns">What to look for, and the token that it is.</param>
    public AddedTokenMatcher(IReadOnlyDictionary<string, AddedToken> patterns)
    {
        _bySpan = new Dictionary<string, AddedToken>(patterns, StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        _lengths = [.. patterns.Keys.Select(pattern => pattern.Length).Distinct().OrderDescending()];
        _starts = SearchValues.Create([.. patterns.Keys], StringComparison.Ordinal);
    }

    /// <summary>Cuts an open piece at every token found.</summary>
    public void Cut(AlignedText text, TextPiece piece, List<TextPiece> parts)
    {
        ReadOnlySpan<char> units = text.Slice(piece.Start, piece.Length);
        int done = 0;
        int position = 0;
        while (units[position..].IndexOfAny(_starts) is >= 0 and int found)
        {
            int start = position + found;
            AddedToken token = Longest(units[start..], out int length);
            int end = start + length;
            position = end;
            if (token.IsSingleWord && (TouchesWord(units[..start], fromEnd: true) || TouchesWord(units[end..], fromEnd: false)))
            {
                continue;
            }

            if (token.StripsLeft)
            {
                while (start > 0 && char.IsWhiteSpace(units[start - 1]))
                {
                    start--;
                }

                start = Math.Max(start, done);
            }

            while (token.StripsRight && end < units.Length && char.IsWhiteSpace(units[end]))
            {
                end++;
            }

            // White space that a token took on its right may be a token too. Both then stand for it, as with Hugging Face.
            PieceText.Add(parts, piece.Start + done, piece.Start + start);
            PieceText.Add(parts, piece.Start + start, piece.Start + end, token.Id);
            done = end;
        }

        PieceText.Add(parts, piece.Start + done, piece.End);
    }

    private AddedToken Longest(ReadOnlySpan<char> units, out int length)
    {
        foreach (int candidate in _lengths)
        {
            if (candidate <= units.Length && _bySpan.TryGetValue(units[..candidate], out AddedToken? token))
            {
                length = candidate;
                return token;
            }
        }

        throw new InvalidOperationException("An added token was found that is not in the table.");
    }

    private static bool TouchesWord(ReadOnlySpan<char> units, bool fromEnd)
    {
        if (units.IsEmpty)
        {
            return false;
        }

        Rune rune;
        _ = fromEnd ? Rune.DecodeLastFromUtf16(units, out rune, out _) : Rune.DecodeFromUtf16(units, out rune, out _);
        return WordCharacters.Contains(rune);
    }
}
