using Lora.Llm.Tokenization;

namespace Lora.Llm;

public sealed partial class HuggingFaceTokenizer
{
    /// <summary>
    /// Tokenizes a text of which it is known which parts are tokens. In the other parts special tokens are not looked for: what reads like one is text.
    /// Nothing is put around the text.
    /// </summary>
    /// <param name="parts">The text's parts in order; those that are tokens must be in the vocabulary.</param>
    /// <returns>The ids, and where each token lies in the text, in UTF-16 units.</returns>
    internal (List<int> Ids, List<(int Start, int End)> Offsets) EncodeMarked(IReadOnlyList<(string Text, bool IsToken)> parts)
    {
        string text = string.Concat(parts.Select(part => part.Text));
        EncodingPart encoded = EncodeWork(new PieceText(AlignedText.FromOriginal(text, isTracked: true), Cut(parts, text)), _withoutSpecial.Value, keepsDetails: true, normalizes: true, cuts: true);
        return (encoded.Ids, encoded.Offsets!);
    }

    // Neighbouring texts are one piece, since tokens may lie across their border; tokens take white space along where they do so elsewhere.
    private List<TextPiece> Cut(IReadOnlyList<(string Text, bool IsToken)> parts, string text)
    {
        var pieces = new List<TextPiece>();
        int open = 0, end = 0;
        foreach ((string part, bool isToken) in parts)
        {
            int start = end;
            end += part.Length;
            if (!isToken || end <= open) continue;
            int id = TokenToId(part)!.Value;
            AddedToken? token = _added.Find(part);
            int from = Math.Max(start, open), to = end;
            while (token is { StripsLeft: true } && from > open && char.IsWhiteSpace(text[from - 1])) from--;
            while (token is { StripsRight: true } && to < text.Length && char.IsWhiteSpace(text[to])) to++;
            PieceText.Add(pieces, open, from);
            PieceText.Add(pieces, from, to, id);
            open = to;
        }
        PieceText.Add(pieces, open, text.Length);
        return pieces;
    }
}
