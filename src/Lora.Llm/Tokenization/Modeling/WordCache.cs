using System.Collections.Concurrent;

namespace Lora.Llm.Tokenization;

/// <summary>The tokens of words seen before. It takes short words only and stops taking them when it is full.</summary>
internal sealed class WordCache
{
    private const int Capacity = 1 << 16;
    private const int LongestWord = 256;

    private readonly ConcurrentDictionary<string, ModelToken[]> _words = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ModelToken[]>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private int _count;

    public WordCache() => _bySpan = _words.GetAlternateLookup<ReadOnlySpan<char>>();

    public bool TryGet(ReadOnlySpan<char> word, out ModelToken[] tokens) => _bySpan.TryGetValue(word, out tokens!);

    public void Add(ReadOnlySpan<char> word, ModelToken[] tokens)
    {
        if (word.Length <= LongestWord && _count < Capacity && _words.TryAdd(word.ToString(), tokens))
        {
            Interlocked.Increment(ref _count);
        }
    }
}
