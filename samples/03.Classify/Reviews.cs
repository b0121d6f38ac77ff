namespace Classify;

/// <summary>A text and its class.</summary>
internal sealed record Review(string Text, int Label);

/// <summary>
/// Texts of guests. In their diaries, which the base reads, it shows whether something was good: whoever liked it smiled. The reviews say what was how and no more, and those that are held out use other
/// words than those that are learned: only the base knows from the diaries which of them praise.
/// </summary>
internal sealed class Reviews(int seed)
{
    internal static readonly string[] Labels = ["praise", "complaint", "mixed"];

    private static readonly string[] _things = ["soup", "room", "waiter", "bread", "garden", "bus", "bed", "tea", "guide", "view", "shop", "music"];

    private static readonly string[] _good = ["lovely", "bright", "clean", "fine", "fresh", "perfect", "friendly", "gentle", "great", "neat", "sweet", "pretty"];

    private static readonly string[] _bad = ["awful", "dim", "dirty", "broken", "stale", "poor", "rude", "rough", "dreadful", "messy", "bitter", "ugly"];

    private static readonly string[] _people = ["mia", "tom", "ana", "leo", "zoe", "max", "eva", "ben"];

    private static readonly string[] _glad = ["smiled", "was happy", "came again", "thanked us", "told all friends"];

    private static readonly string[] _sorry = ["frowned", "was angry", "left early", "asked for money back", "complained"];

    private readonly Random _random = new(seed);

    /// <summary>The words of reviews: the first half of each list is learned, the second held out.</summary>
    internal Review Review(bool heldOut)
    {
        int label = _random.Next(Labels.Length);
        bool isMixed = label == 2, first = isMixed ? _random.Next(2) == 0 : label == 0, second = isMixed ? !first : first;
        (string thing, string another) = Two(_things);
        string one = Word(first, heldOut), two = Word(second, heldOut);
        string text = _random.Next(3) switch
        {
            0 => $"the {thing} was {one} and the {another} was {two}.",
            1 => $"we found the {thing} {one}, and the {another} {two}.",
            _ => $"{one} {thing}, {two} {another}.",
        };
        return new Review(text, label);
    }

    /// <summary>A line of a diary.</summary>
    internal string Diary()
    {
        bool good = _random.Next(2) == 0;
        (string thing, string another) = Two(_things);
        string person = One(_people), word = One(good ? _good : _bad), same = One(good ? _good : _bad), opposite = One(good ? _bad : _good), reaction = One(good ? _glad : _sorry);
        return _random.Next(7) switch
        {
            0 => $"the {thing} was {word}, so {person} {reaction}.",
            1 => $"{person} {reaction} because the {thing} was {word}.",
            2 => $"the {thing} was {word} and {same}, and {person} {reaction}.",
            3 => $"{word} {thing}, {same} {another}: {person} {reaction}.",
            4 => $"we found the {thing} {word}. {person} {reaction}.",
            5 => $"the {thing} was not {opposite} but {word}, and {person} {reaction}.",
            _ => $"{person} {reaction}: the {thing} was {word} and the {another} was {same}.",
        };
    }

    private string Word(bool good, bool heldOut)
    {
        string[] words = good ? _good : _bad;
        int half = words.Length / 2;
        return words[_random.Next(half) + (heldOut ? half : 0)];
    }

    private T One<T>(T[] among) => among[_random.Next(among.Length)];

    private (T First, T Second) Two<T>(T[] among)
    {
        int first = _random.Next(among.Length), second = _random.Next(among.Length - 1);
        return (among[first], among[second < first ? second : second + 1]);
    }
}
