using Lora.Llm.Tokenization;

namespace Lora.Llm;

public sealed partial class HuggingFaceTokenizer
{
    /// <summary>Tokenizes two texts as one input, such as a question and a passage.</summary>
    /// <param name="text">The first text.</param>
    /// <param name="pair">The second text.</param>
    /// <param name="addSpecialTokens">Whether the tokens that the model wants around and between them are put there. Default: true.</param>
    /// <param name="maxLength">Most tokens to give, special ones included; the longer text is cut off first, at its end. Default: no limit.</param>
    /// <returns>The tokens; offsets count in the text that the token is from.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxLength"/> leaves no room for the special tokens.</exception>
    public TokenizerEncoding Encode(string text, string pair, bool addSpecialTokens = true, int? maxLength = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(pair);
        EncodingPart first = EncodeSequence(text, keepsDetails: true, normalizes: true, cuts: true);
        EncodingPart second = EncodeSequence(pair, keepsDetails: true, normalizes: true, cuts: true);
        second.TypeId = 1;
        if (maxLength is { } limit)
        {
            int added = addSpecialTokens ? AddedCount(isPair: true) : 0;
            ArgumentOutOfRangeException.ThrowIfLessThan(limit, added, nameof(maxLength));
            TruncatePair(first, second, limit - added);
        }

        return new TokenizerEncoding(PostProcess([first, second], addSpecialTokens));
    }

    /// <summary>Tokenizes many texts.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="addSpecialTokens">Whether the tokens that the model wants around a text are put there. Default: true.</param>
    /// <param name="maxLength">Most tokens to give for each text, special ones included. Default: no limit.</param>
    /// <returns>The tokens of each text, in order.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxLength"/> leaves no room for the special tokens.</exception>
    public IReadOnlyList<TokenizerEncoding> EncodeBatch(IEnumerable<string> texts, bool addSpecialTokens = true, int? maxLength = null)
    {
        ArgumentNullException.ThrowIfNull(texts);
        return [.. texts.Select(text => Encode(text, addSpecialTokens, maxLength))];
    }

    /// <summary>Tokenizes many texts and brings them to one length.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="padding">How they are brought to one length.</param>
    /// <param name="addSpecialTokens">Whether the tokens that the model wants around a text are put there. Default: true.</param>
    /// <param name="maxLength">Most tokens to give for each text, special ones included. Default: no limit.</param>
    /// <returns>Ids, attention mask and type ids.</returns>
    /// <exception cref="ArgumentException">A text is longer than the length asked for.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxLength"/> leaves no room for the special tokens, or a number in <paramref name="padding"/> is not positive.</exception>
    /// <exception cref="InvalidOperationException">Neither <paramref name="padding"/> nor the tokenizer names what fills rows up.</exception>
    public TokenizerBatch EncodeBatch(IEnumerable<string> texts, PaddingOptions padding, bool addSpecialTokens = true, int? maxLength = null)
    {
        ArgumentNullException.ThrowIfNull(texts);
        PaddingOptions known = WithPadId(padding);
        return TokenizerBatch.Pad(texts.Select(text => Encode(text, addSpecialTokens, maxLength)), known);
    }

    /// <summary>Tokenizes many pairs of texts and brings them to one length.</summary>
    /// <param name="pairs">The pairs.</param>
    /// <param name="padding">How they are brought to one length.</param>
    /// <param name="addSpecialTokens">Whether the tokens that the model wants around and between the texts are put there. Default: true.</param>
    /// <param name="maxLength">Most tokens to give for each pair, special ones included. Default: no limit.</param>
    /// <returns>Ids, attention mask and type ids.</returns>
    /// <exception cref="ArgumentException">A pair is longer than the length asked for.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxLength"/> leaves no room for the special tokens, or a number in <paramref name="padding"/> is not positive.</exception>
    /// <exception cref="InvalidOperationException">Neither <paramref name="padding"/> nor the tokenizer names what fills rows up.</exception>
    public TokenizerBatch EncodeBatch(IEnumerable<(string Text, string Pair)> pairs, PaddingOptions padding, bool addSpecialTokens = true, int? maxLength = null)
    {
        ArgumentNullException.ThrowIfNull(pairs);
        PaddingOptions known = WithPadId(padding);
        return TokenizerBatch.Pad(pairs.Select(pair => Encode(pair.Text, pair.Pair, addSpecialTokens, maxLength)), known);
    }

    private PaddingOptions WithPadId(PaddingOptions padding)
    {
        ArgumentNullException.ThrowIfNull(padding);
        return padding with
        {
            PadId = padding.PadId ?? PadId ?? throw new InvalidOperationException(
                "The tokenizer names no token that fills rows up. Set PaddingOptions.PadId; the attention mask hides whatever it is."),
        };
    }

    // Both keep half where both are longer than that; else only the longer one is cut.
    private static void TruncatePair(EncodingPart first, EncodingPart second, int room)
    {
        int shorter = Math.Min(first.Ids.Count, second.Ids.Count);
        if (first.Ids.Count + second.Ids.Count <= room)
        {
            return;
        }

        int kept = Math.Min(shorter, room / 2);
        bool cutsSecond = first.Ids.Count <= second.Ids.Count;
        Truncate(first, cutsSecond ? kept : room - kept);
        Truncate(second, cutsSecond ? room - kept : kept);
    }
}
