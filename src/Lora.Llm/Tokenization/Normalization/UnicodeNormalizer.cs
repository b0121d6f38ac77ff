using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>
/// NFC, NFD, NFKC and NFKD. Each result is marked as replacing a character, together with some that follow it (0, -1, …), or as
/// added behind one (+1); the alignment with the original follows from these marks.
/// </summary>
internal sealed class UnicodeNormalizer(bool composes, bool isCompatible) : NormalizerStage
{
    // Nothing below these changes, and none of it composes with what comes before.
    private readonly char _firstAffected = isCompatible ? '\u00A0' : composes ? '\u0300' : '\u00C0';

    protected override void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        ReadOnlySpan<char> units = source.Slice(piece.Start, piece.Length);
        if (units.IndexOfAnyInRange(_firstAffected, '\uFFFF') < 0)
        {
            target.Copy(piece.Start, piece.Length);
            return;
        }

        List<(int CodePoint, int Change)> result = Decompose(units, out List<int> positions);
        if (composes)
        {
            result = Compose(result);
        }

        int consumed = 0;
        foreach ((int codePoint, int change) in result)
        {
            int from = change > 0 ? consumed - 1 : Math.Min(consumed, positions.Count - 1);
            target.Append(codePoint, from < 0 ? -1 : piece.Start + positions[from]);
            if (change <= 0)
            {
                consumed += 1 - change;
            }
        }
    }

    private List<(int CodePoint, int Change)> Decompose(ReadOnlySpan<char> units, out List<int> positions)
    {
        var result = new List<(int CodePoint, int Change)>(units.Length);
        positions = new List<int>(units.Length);
        var parts = new List<int>();
        int pending = 0;
        bool isSorted = true;
        int lastClass = 0;
        for (int i = 0; i < units.Length;)
        {
            Rune.DecodeFromUtf16(units[i..], out Rune rune, out int length);
            positions.Add(i);
            i += length;
            parts.Clear();
            UnicodeTables.Decompose(rune.Value, isCompatible, parts);
            for (int k = 0; k < parts.Count; k++)
            {
                int combiningClass = UnicodeTables.CombiningClass(parts[k]);
                if (combiningClass == 0)
                {
                    Sort(result, pending, isSorted);
                    pending = result.Count;
                    isSorted = true;
                }

                isSorted &= combiningClass >= lastClass || result.Count == pending;
                lastClass = combiningClass;
                result.Add((parts[k], k == 0 ? 0 : 1));
            }
        }

        Sort(result, pending, isSorted);
        return result;
    }

    // The marks behind a starter in the order of their classes; marks of one class keep theirs.
    private static void Sort(List<(int CodePoint, int Change)> items, int start, bool isSorted)
    {
        if (!isSorted)
        {
            var marks = items.GetRange(start, items.Count - start).OrderBy(mark => UnicodeTables.CombiningClass(mark.CodePoint)).ToList();
            items.RemoveRange(start, marks.Count);
            items.AddRange(marks);
        }
    }

    private static List<(int CodePoint, int Change)> Compose(List<(int CodePoint, int Change)> items)
    {
        var result = new List<(int CodePoint, int Change)>(items.Count);
        int starter = -1;
        int lastClass = -1;
        foreach ((int codePoint, int change) in items)
        {
            int combiningClass = UnicodeTables.CombiningClass(codePoint);
            if (starter >= 0 && combiningClass > lastClass &&
                UnicodeTables.Compose(result[starter].CodePoint, codePoint) is >= 0 and int composed)
            {
                result[starter] = (composed, result[starter].Change + change - 1);
                continue;
            }

            result.Add((codePoint, change));
            if (combiningClass == 0)
            {
                starter = result.Count - 1;
                lastClass = -1;
            }
            else if (starter >= 0)
            {
                lastClass = combiningClass;
            }
        }

        return result;
    }
}
