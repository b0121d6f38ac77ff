using Lora.Llm.Tokenization;
using Microsoft.ML.Tokenizers;

namespace Lora.Llm;

public sealed partial class HuggingFaceTokenizer
{
    /// <inheritdoc/>
    protected override EncodeResults<EncodedToken> EncodeToTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        ReadOnlySpan<char> units = text is null ? textSpan : text;
        EncodingPart part = EncodeSequence(units, keepsDetails: true, settings.ConsiderNormalization, settings.ConsiderPreTokenization);
        int consumed = Limit(part, settings.MaxTokenCount, units.Length);
        var tokens = new List<EncodedToken>();
        foreach (EncodingPart processed in PostProcess([part], addsSpecialTokens: true))
        {
            for (int i = 0; i < processed.Ids.Count; i++)
            {
                (int start, int end) = processed.Offsets![i];
                tokens.Add(new EncodedToken(processed.Ids[i], processed.Tokens![i], start..end));
            }
        }

        return new EncodeResults<EncodedToken> { Tokens = tokens, CharsConsumed = consumed };
    }

    /// <inheritdoc/>
    protected override EncodeResults<int> EncodeToIds(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        ReadOnlySpan<char> units = text is null ? textSpan : text;
        bool isLimited = settings.MaxTokenCount != int.MaxValue;
        EncodingPart part = EncodeSequence(units, keepsDetails: isLimited, settings.ConsiderNormalization, settings.ConsiderPreTokenization);
        int consumed = isLimited ? Limit(part, settings.MaxTokenCount, units.Length) : units.Length;
        List<EncodingPart> parts = PostProcess([part], addsSpecialTokens: true);
        return new EncodeResults<int> { Tokens = [.. parts.SelectMany(processed => processed.Ids)], CharsConsumed = consumed };
    }

    /// <inheritdoc/>
    protected override int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        EncodeToIds(text, textSpan, settings).Tokens.Count;

    /// <inheritdoc/>
    protected override int GetIndexByTokenCount(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings, bool fromEnd, out string? normalizedText, out int tokenCount)
    {
        ReadOnlySpan<char> units = text is null ? textSpan : text;
        normalizedText = null;
        EncodingPart part = EncodeSequence(units, keepsDetails: true, settings.ConsiderNormalization, settings.ConsiderPreTokenization);
        int room = Room(settings.MaxTokenCount);
        int surplus = part.Ids.Count - room;
        tokenCount = Math.Min(room, part.Ids.Count) + AddedCount(isPair: false);
        if (!fromEnd)
        {
            return Limit(part, settings.MaxTokenCount, units.Length);
        }

        // A character of which some tokens are cut off is cut off as a whole.
        return surplus <= 0 ? 0
            : room == 0 ? units.Length
            : Math.Max(part.Offsets![surplus].Start, part.Offsets[surplus - 1].End);
    }

    /// <summary>Cuts a sequence so that it fits the limit together with the special tokens, and says how much of the text is left.</summary>
    private int Limit(EncodingPart part, int maxTokenCount, int textLength)
    {
        int room = Room(maxTokenCount);
        if (part.Ids.Count <= room)
        {
            return textLength;
        }

        // A character of which some tokens are cut off does not count as consumed.
        int consumed = room == 0 ? 0 : Math.Min(part.Offsets![room - 1].End, part.Offsets[room].Start);
        Truncate(part, room);
        return consumed;
    }

    private int Room(int maxTokenCount)
    {
        int added = AddedCount(isPair: false);
        return maxTokenCount > 0 && maxTokenCount >= added
            ? maxTokenCount - added
            : throw new ArgumentOutOfRangeException(
                nameof(maxTokenCount), maxTokenCount, $"At least {Math.Max(added, 1)} tokens are needed: the tokenizer adds {added} special tokens to every text.");
    }
}
