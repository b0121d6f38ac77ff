using System.Buffers;
using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>
/// SentencePiece's unigram model: of all ways to spell a word with pieces, the one whose scores add up to the most (Viterbi). A
/// walk from each place goes no further than the longest piece, so the time is linear in the text's length.
/// </summary>
internal sealed class UnigramModel : TokenModel
{
    /// <summary>How much worse an unknown character is than the worst piece.</summary>
    private const double UnknownPenalty = 10;

    private readonly double[] _scores;
    private readonly double _unknownScore;
    private readonly int _unknownId;
    private readonly ByteTokens? _bytes;
    private readonly TokenTrie _pieces = new();
    private readonly WordCache _cache = new();

    /// <param name="vocabulary">The pieces.</param>
    /// <param name="scores">Their scores, by id.</param>
    /// <param name="unknownId">The piece for what no piece spells, or -1.</param>
    /// <param name="fallsBackToBytes">Whether unknown text becomes byte tokens where the vocabulary has them.</param>
    public UnigramModel(ModelVocabulary vocabulary, double[] scores, int unknownId, bool fallsBackToBytes)
        : base(vocabulary)
    {
        _scores = scores;
        _unknownScore = scores.DefaultIfEmpty().Min() - UnknownPenalty;
        _unknownId = unknownId;
        _bytes = fallsBackToBytes ? new ByteTokens(vocabulary) : null;
        foreach ((string piece, int id) in vocabulary.Ids)
        {
            if (piece.Length > 0)
            {
                _pieces.Add(piece, id);
            }
        }
    }

    public override string? UnknownToken => Vocabulary.Token(_unknownId);

    /// <summary>Unknown text is its own token text.</summary>
    public override string TextOf(ModelToken token, ReadOnlySpan<char> word) =>
        token.Id == _unknownId ? word[token.Start..token.End].ToString() : base.TextOf(token, word);

    public override void Tokenize(ReadOnlySpan<char> word, List<ModelToken> tokens)
    {
        if (!_cache.TryGet(word, out ModelToken[] found))
        {
            found = Spell(word);
            _cache.Add(word, found);
        }

        tokens.AddRange(found);
    }

    private ModelToken[] Spell(ReadOnlySpan<char> word)
    {
        Step[] path = ArrayPool<Step>.Shared.Rent(word.Length + 1);
        try
        {
            FindPath(word, path);
            return ReadPath(word, path);
        }
        finally
        {
            ArrayPool<Step>.Shared.Return(path);
        }
    }

    /// <summary>Fills in the best way to reach every place of the word.</summary>
    private void FindPath(ReadOnlySpan<char> word, Step[] path)
    {
        path.AsSpan(0, word.Length + 1).Fill(new Step(0, -1, -1));
        for (int start = 0; start < word.Length;)
        {
            double score = path[start].Score;
            Rune.DecodeFromUtf16(word[start..], out _, out int length);
            bool hasCharacter = false;
            int node = TokenTrie.Root;
            for (int end = start; end < word.Length;)
            {
                node = _pieces.Next(node, word[end++]);
                if (node < 0)
                {
                    break;
                }

                int id = _pieces.Id(node);
                if (id >= 0)
                {
                    Offer(ref path[end], new Step(_scores[id] + score, start, id));
                    hasCharacter |= end - start == length;
                }
            }

            if (!hasCharacter)
            {
                Offer(ref path[start + length], new Step(_unknownScore + score, start, KnownUnknown(word.Slice(start, length))));
            }

            start += length;
        }
    }

    // Of two ways that are equally good the one found first stays.
    private static void Offer(ref Step best, Step candidate)
    {
        if (best.Start < 0 || candidate.Score > best.Score)
        {
            best = candidate;
        }
    }

    private int KnownUnknown(ReadOnlySpan<char> character) => _unknownId >= 0
        ? _unknownId
        : throw new InvalidOperationException(
            $"The text holds '{character}', which no piece of the tokenizer's vocabulary spells, and the tokenizer has no unk_id. Set model.unk_id, or leave such characters out of the text.");

    private ModelToken[] ReadPath(ReadOnlySpan<char> word, Step[] path)
    {
        var reversed = new List<ModelToken>();
        int unknownEnd = -1;
        for (int end = word.Length; end > 0;)
        {
            Step step = path[end];
            if (step.Id == _unknownId)
            {
                unknownEnd = unknownEnd < 0 ? end : unknownEnd;
            }
            else
            {
                AddUnknown(word, end, ref unknownEnd, reversed);
                reversed.Add(new ModelToken(step.Id, step.Start, end));
            }

            end = step.Start;
        }

        AddUnknown(word, 0, ref unknownEnd, reversed);
        reversed.Reverse();
        return [.. reversed];
    }

    /// <summary>Adds a run of unknown characters as one token, or as its bytes.</summary>
    private void AddUnknown(ReadOnlySpan<char> word, int start, ref int end, List<ModelToken> reversed)
    {
        if (end < 0)
        {
            return;
        }

        ReadOnlySpan<char> run = word[start..end];
        if (Vocabulary.TryGetId(run, out int id))
        {
            reversed.Add(new ModelToken(id, start, end));
        }
        else if (_bytes?.Find(run.ToString()) is { } bytes)
        {
            for (int i = bytes.Length - 1; i >= 0; i--)
            {
                reversed.Add(new ModelToken(bytes[i], start, end));
            }
        }
        else
        {
            reversed.Add(new ModelToken(_unknownId, start, end));
        }

        end = -1;
    }

    /// <param name="Score">The sum of the scores up to here.</param>
    /// <param name="Start">Where the last piece begins; below 0: nothing leads here yet.</param>
    /// <param name="Id">The last piece.</param>
    private readonly record struct Step(double Score, int Start, int Id);
}
