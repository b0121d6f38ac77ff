namespace Lora.Llm;

/// <summary>Turns a conversation into tokens, of which each knows the turn that it belongs to.</summary>
internal static class ChatEncoder
{
    /// <summary>Tokenizes.</summary>
    /// <returns>The ids, and for each the place of its message, or −1 for what the template puts around the turns.</returns>
    /// <exception cref="ArgumentException">The tokenizer lacks tokens of the template; all are listed.</exception>
    internal static (List<int> Ids, List<int> Turns) Encode(IReadOnlyList<ChatSegment> segments, HuggingFaceTokenizer tokenizer, ChatTemplate template)
    {
        string[] missing = [.. segments.Where(segment => segment.IsToken && tokenizer.TokenToId(segment.Text) is null).Select(segment => $"'{segment.Text}'").Distinct()];
        if (missing.Length > 0)
        {
            throw new ArgumentException(
                $"The chat template '{template.Name}' needs the token{(missing.Length == 1 ? "" : "s")} {string.Join(", ", missing)}, which the tokenizer lacks: take the template that the model was trained with (there are {string.Join(", ", ChatTemplate.Names)}).", nameof(tokenizer));
        }
        int[] ends = new int[segments.Count];
        for (int i = 0, end = 0; i < segments.Count; i++) ends[i] = end += segments[i].Text.Length;
        (List<int> ids, List<(int Start, int End)> offsets) = tokenizer.EncodeMarked([.. segments.Select(segment => (segment.Text, segment.IsToken))]);
        return (ids, [.. offsets.Select(Turn)]);

        // A token of the template takes white space before and behind it along and stays of its turn. Where the border of two texts falls into another token,
        // that token belongs to the later one.
        int Turn((int Start, int End) token)
        {
            int last = SegmentAt(Math.Max(token.Start, token.End - 1));
            for (int i = SegmentAt(token.Start); i < last; i++)
            {
                if (segments[i].IsToken) return segments[i].Turn;
            }
            return segments[last].Turn;
        }

        int SegmentAt(int place)
        {
            int found = Array.BinarySearch(ends, place + 1);
            return Math.Min(found >= 0 ? found : ~found, ends.Length - 1);
        }
    }

    /// <summary>Tokenizes a conversation to learn from.</summary>
    internal static TrainingExample Example(IReadOnlyList<ChatMessage> messages, HuggingFaceTokenizer tokenizer, ChatTemplate template, ChatOptions options)
    {
        (List<int> ids, List<int> turns) = Encode(template.SegmentsFor(tokenizer, messages, addGenerationPrompt: false), tokenizer, template);
        int last = messages.Count - 1;
        while (last >= 0 && !options.LearnedRoles.Contains(messages[last].Role)) last--;
        int count = Math.Min(ids.Count, options.MaxLength);
        int[] labels = [.. Enumerable.Range(0, count).Select(i => IsLearned(turns[i]) ? ids[i] : TrainingExample.IgnoredLabel)];
        return new TrainingExample(ids[..count], labels);

        bool IsLearned(int turn) => turn >= 0 && (options.LastTurnOnly ? turn == last : options.LearnedRoles.Contains(messages[turn].Role));
    }
}
