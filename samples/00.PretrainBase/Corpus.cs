using Lora.Llm;

namespace PretrainBase;

/// <summary>Texts to learn and texts to be measured by, no text in both.</summary>
internal sealed class Corpus
{
    private const int HeldOutTexts = 400;

    /// <param name="texts">How many.</param>
    /// <param name="seed">Draws them.</param>
    /// <param name="talks">Whether every third text is talk.</param>
    internal Corpus(int texts, int seed, bool talks)
    {
        var teller = new StoryTeller(seed);
        First = [.. Enumerable.Range(0, texts / 4).Select(_ => teller.TellShortly())];
        var talk = new Talk(seed);
        Training = [.. Enumerable.Range(0, texts).Select(i => talks && i % 3 == 0 ? talk.Tell() : teller.Tell())];
        var known = Training.Concat(First).ToHashSet(StringComparer.Ordinal);
        HeldOut = [.. Told(new StoryTeller(seed + 1)).Where(known.Add).Take(HeldOutTexts)];
    }

    /// <summary>Very short texts to begin with.</summary>
    internal IReadOnlyList<string> First { get; }

    internal IReadOnlyList<string> Training { get; }

    internal IReadOnlyList<string> HeldOut { get; }

    /// <summary>Each text with the end token behind it. Texts stay apart, so that a look back finds no other text's words.</summary>
    internal static IReadOnlyList<TrainingExample> Examples(IEnumerable<string> texts, HuggingFaceTokenizer tokenizer, int maxLength) =>
    [
        .. from text in texts
           let ids = tokenizer.EncodeToIds(text).Append(tokenizer.EosId!.Value).Take(maxLength).ToArray()
           select new TrainingExample(ids, ids),
    ];

    private static IEnumerable<string> Told(StoryTeller teller)
    {
        while (true) yield return teller.Tell();
    }
}
