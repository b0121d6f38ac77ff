using System.Buffers;
using Lora.Llm.Tokenization;

namespace Lora.Llm;

public sealed partial class HuggingFaceTokenizer
{
    /// <summary>Turns ids back into text, special tokens included.</summary>
    /// <param name="ids">The ids. Those that no token has are passed over: a model's embedding may have more rows than there are tokens.</param>
    /// <returns>The text.</returns>
    public override string Decode(IEnumerable<int> ids) => Decode(ids, skipSpecialTokens: false);

    /// <summary>Turns ids back into text.</summary>
    /// <param name="ids">The ids. Those that no token has are passed over: a model's embedding may have more rows than there are tokens.</param>
    /// <param name="skipSpecialTokens">Whether special tokens are left out.</param>
    /// <returns>The text.</returns>
    public string Decode(IEnumerable<int> ids, bool skipSpecialTokens)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var tokens = new List<string>();
        foreach (int id in ids)
        {
            if (_added.Find(id) is { } added)
            {
                if (!(skipSpecialTokens && added.IsSpecial))
                {
                    tokens.Add(_added.DecodedForm(added));
                }
            }
            else if (_model.Vocabulary.Token(id) is { } token)
            {
                tokens.Add(token);
            }
        }

        return _decoder is null ? string.Join(' ', tokens) : string.Concat(_decoder.Decode(tokens));
    }

    /// <summary>Turns ids back into text, special tokens included, as far as the destination holds it.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="destination">Receives the text.</param>
    /// <param name="idsConsumed">How many ids the text written is of.</param>
    /// <param name="charsWritten">How many characters were written.</param>
    /// <returns><see cref="OperationStatus.Done"/>, or <see cref="OperationStatus.DestinationTooSmall"/> if some ids did not fit.</returns>
    public override OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        ArgumentNullException.ThrowIfNull(ids);
        int[] all = [.. ids];
        string text = Decode(all);
        int fitting = all.Length;
        if (text.Length > destination.Length)
        {
            // The text grows with the number of ids, so the most that fit are found by halving.
            int low = 0, high = all.Length - 1;
            while (low < high)
            {
                int middle = low + ((high - low + 1) / 2);
                if (Decode(all.AsSpan(0, middle).ToArray()).Length <= destination.Length)
                {
                    low = middle;
                }
                else
                {
                    high = middle - 1;
                }
            }

            fitting = low;
            text = Decode(all.AsSpan(0, fitting).ToArray());
        }

        text.CopyTo(destination);
        idsConsumed = fitting;
        charsWritten = text.Length;
        return fitting == all.Length ? OperationStatus.Done : OperationStatus.DestinationTooSmall;
    }
}
