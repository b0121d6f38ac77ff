using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Byte pair encoding, with fallback to byte tokens or an unknown token for what is not in the vocabulary.</summary>
internal sealed class BpeModel : TokenModel
{
    private readonly MergeTable _merges;
    private readonly BpeSettings _settings;
    private readonly UnknownWord? _unknown;
    private readonly ByteTokens? _bytes;
    private readonly bool _breaksBeforeBlanks;
    private readonly WordCache _cache = new();

    public BpeModel(ModelVocabulary vocabulary, MergeTable merges, BpeSettings settings)
        : base(vocabulary)
    {
        _merges = merges;
        _settings = settings;
        _unknown = settings.UnknownToken is { } unknown ? new UnknownWord(vocabulary, unknown) : null;
        _bytes = settings.FallsBackToBytes ? new ByteTokens(vocabulary) : null;

        // Whole texts reach a model that has no pre-tokenizer. Where no merge can reach over the border before a ▁ and none of
        // the options looks at a word as a whole, the parts between such borders give the same tokens and can be remembered.
        _breaksBeforeBlanks = merges.BreaksBeforeBlanks && !settings.IgnoresMerges && settings.ContinuingSubwordPrefix is null &&
            settings.EndOfWordSuffix is null && vocabulary.TryGetId([MergeTable.Blank], out _);
    }

    public override string? UnknownToken => _settings.UnknownToken;

    public override void Tokenize(ReadOnlySpan<char> word, List<ModelToken> tokens)
    {
        if (!_breaksBeforeBlanks)
        {
            TokenizePart(word, 0, tokens);
            return;
        }

        int start = 0;
        while (start < word.Length)
        {
            int end = start;
            while (end < word.Length && word[end] == MergeTable.Blank)
            {
                end++;
            }

            int length = word[end..].IndexOf(MergeTable.Blank);
            end = length < 0 ? word.Length : end + length;
            TokenizePart(word[start..end], start, tokens);
            start = end;
        }
    }

    private void TokenizePart(ReadOnlySpan<char> part, int offset, List<ModelToken> tokens)
    {
        if (part.IsEmpty)
        {
            return;
        }

        if (!_cache.TryGet(part, out ModelToken[] found))
        {
            found = _settings.IgnoresMerges && Vocabulary.TryGetId(part, out int id)
                ? [new ModelToken(id, 0, part.Length)]
                : Merge(part);
            _cache.Add(part, found);
        }

        foreach (ModelToken token in found)
        {
            tokens.Add(new ModelToken(token.Id, token.Start + offset, token.End + offset));
        }
    }

    private ModelToken[] Merge(ReadOnlySpan<char> part)
    {
        var symbols = new SymbolList(_merges);
        (int Start, int End) unknown = (-1, -1);
        for (int i = 0; i < part.Length;)
        {
            Rune.DecodeFromUtf16(part[i..], out _, out int length);
            int end = i + length;
            if (TryGetSymbol(part, i, end, out int id))
            {
                Flush(part, symbols, ref unknown);
                symbols.Add(id, i, end);
            }
            else if (!TryAddBytes(part, i, end, symbols) && _unknown is not null)
            {
                // An unknown run stays open behind byte tokens: that is the order that Hugging Face gives.
                if (unknown.Start >= 0 && !_settings.FusesUnknown)
                {
                    Flush(part, symbols, ref unknown);
                }

                unknown = (unknown.Start < 0 ? i : unknown.Start, end);
            }

            i = end;
        }

        Flush(part, symbols, ref unknown);
        symbols.MergeAll();
        return symbols.ToTokens();
    }

    private void Flush(ReadOnlySpan<char> part, SymbolList symbols, ref (int Start, int End) unknown)
    {
        if (unknown.Start >= 0)
        {
            symbols.Add(_unknown!.TokenFor(part[unknown.Start..unknown.End]).Id, unknown.Start, unknown.End);
            unknown = (-1, -1);
        }
    }

    private bool TryGetSymbol(ReadOnlySpan<char> part, int start, int end, out int id)
    {
        string? prefix = start > 0 ? _settings.ContinuingSubwordPrefix : null;
        string? suffix = end == part.Length ? _settings.EndOfWordSuffix : null;
        return prefix is null && suffix is null
            ? Vocabulary.TryGetId(part[start..end], out id)
            : Vocabulary.TryGetId($"{prefix}{part[start..end]}{suffix}", out id);
    }

    private bool TryAddBytes(ReadOnlySpan<char> part, int start, int end, SymbolList symbols)
    {
        if (_bytes is null)
        {
            return false;
        }

        string text = $"{(start > 0 ? _settings.ContinuingSubwordPrefix : null)}{part[start..end]}{(end == part.Length ? _settings.EndOfWordSuffix : null)}";
        if (_bytes.Find(text) is not { } ids)
        {
            return false;
        }

        foreach (int id in ids)
        {
            symbols.Add(id, start, end);
        }

        return true;
    }
}
