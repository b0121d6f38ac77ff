using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Lora.Llm.Tokenization;

/// <summary>
/// A regular expression over code points. .NET matches UTF-16 units, to which 𝒳 is two surrogates and no letter. So where a
/// text holds surrogates, the expression runs over a copy in which one rare character of the same general category stands for
/// each pair; <see cref="OnigurumaSyntax"/> lets no expression pass that could tell the two apart.
/// </summary>
/// <param name="regex">The expression, interpreted or generated.</param>
/// <param name="compiles">Whether it becomes code of its own once it has searched much text. That takes milliseconds for each, in which a tokenizer that is only looked at, or a file that is refused, has no share.</param>
internal sealed class RegexPattern(Regex regex, bool compiles = false) : TextPattern
{
    /// <summary>How long the search for one match may take; nothing that files are made with takes milliseconds.</summary>
    public static readonly TimeSpan TimeLimit = TimeSpan.FromSeconds(2);

    private const int CompiledFrom = 1 << 13;

    private Regex _regex = regex;
    private bool _compiles = compiles;
    private int _searched;

    public override void Find(ReadOnlySpan<char> text, List<(int Start, int Length)> matches)
    {
        try
        {
            Search(text, matches);
        }
        catch (RegexMatchTimeoutException exception)
        {
            throw new RunawayTextException(
                $"The tokenizer's pattern '{_regex}' was given up after {TimeLimit.TotalSeconds} s on a text of {text.Length} characters. Nested repetitions such as (a+)+ cause this: write it without them.", exception);
        }
    }

    private void Search(ReadOnlySpan<char> text, List<(int Start, int Length)> matches)
    {
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') >= 0)
        {
            FindWithSurrogates(text, matches);
            return;
        }

        foreach (ValueMatch match in Current(text.Length).EnumerateMatches(text))
        {
            Add(matches, match.Index, match.Length);
        }
    }

    // Two threads may both compile: either's result is right.
    private Regex Current(int length)
    {
        if (_compiles && Interlocked.Add(ref _searched, length) >= CompiledFrom)
        {
            _regex = new Regex(_regex.ToString(), _regex.Options | RegexOptions.Compiled, _regex.MatchTimeout);
            _compiles = false;
        }

        return _regex;
    }

    private void FindWithSurrogates(ReadOnlySpan<char> text, List<(int Start, int Length)> matches)
    {
        var copy = new char[text.Length];
        var positions = new int[text.Length + 1];
        int length = 0;
        for (int i = 0; i < text.Length; length++)
        {
            positions[length] = i;
            if (char.IsSurrogate(text[i]))
            {
                Rune.DecodeFromUtf16(text[i..], out Rune rune, out int used);
                copy[length] = StandIn(rune);
                i += used;
            }
            else
            {
                copy[length] = text[i++];
            }
        }

        positions[length] = text.Length;
        foreach (ValueMatch match in Current(length).EnumerateMatches(copy.AsSpan(0, length)))
        {
            int start = positions[match.Index];
            Add(matches, start, positions[match.Index + match.Length] - start);
        }
    }

    // Hugging Face passes over an empty match right behind another one; .NET does not.
    private static void Add(List<(int Start, int Length)> matches, int start, int length)
    {
        if (length > 0 || matches.Count == 0 || matches[^1].Start + matches[^1].Length != start)
        {
            matches.Add((start, length));
        }
    }

    // Letters in circles and squares are symbols, and yet \w finds them.
    private static char StandIn(Rune rune) => Rune.GetUnicodeCategory(rune) is var category && category == UnicodeCategory.OtherSymbol && WordCharacters.Contains(rune)
        ? '\u24B6'
        : StandIn(category);

    internal static char StandIn(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\u2C00',
        UnicodeCategory.LowercaseLetter => '\u2C30',
        UnicodeCategory.TitlecaseLetter => '\u1F88',
        UnicodeCategory.ModifierLetter => '\uA4F8',
        UnicodeCategory.OtherLetter => '\uA4D0',
        UnicodeCategory.NonSpacingMark => '\uA6F0',
        UnicodeCategory.SpacingCombiningMark => '\uA983',
        UnicodeCategory.EnclosingMark => '\uA670',
        UnicodeCategory.DecimalDigitNumber => '\uA620',
        UnicodeCategory.LetterNumber => '\uA6E6',
        UnicodeCategory.OtherNumber => '\uA830',
        UnicodeCategory.ConnectorPunctuation => '\uFE33',
        UnicodeCategory.DashPunctuation => '\uFE31',
        UnicodeCategory.OpenPunctuation => '\uFE35',
        UnicodeCategory.ClosePunctuation => '\uFE36',
        UnicodeCategory.InitialQuotePunctuation => '\u2E02',
        UnicodeCategory.FinalQuotePunctuation => '\u2E03',
        UnicodeCategory.OtherPunctuation => '\uA4FE',
        UnicodeCategory.MathSymbol => '\uFB29',
        UnicodeCategory.CurrencySymbol => '\uA838',
        UnicodeCategory.ModifierSymbol => '\uA700',
        UnicodeCategory.OtherSymbol => '\uA490',
        UnicodeCategory.Format => '\uFFF9',
        UnicodeCategory.PrivateUse => '\uE000',
        _ => '\uA4C7', // unassigned, as U+A4C7 itself is
    };
}
