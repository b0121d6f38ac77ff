namespace Lora.Llm.Tokenization;

/// <summary>
/// Values by pairs of ids, in open addressing. A dictionary with 64-bit keys will not do: .NET hashes such a key to the exclusive or of
/// its halves, so that all pairs of one id with itself, which runs of one character consist of, would fall into one bucket.
/// </summary>
internal sealed class PairTable
{
    // No pair: ids are not negative.
    private const ulong Free = ulong.MaxValue;

    private ulong[] _keys = NewKeys(64);
    private ulong[] _values = new ulong[64];
    private int _count;

    public static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    public bool TryGet(ulong key, out ulong value)
    {
        int slot = Find(key);
        value = _values[slot];
        return _keys[slot] == key;
    }

    /// <summary>Sets a pair's value; the last one counts.</summary>
    public void Set(ulong key, ulong value)
    {
        if (_count * 2 >= _keys.Length)
        {
            Grow();
        }

        int slot = Find(key);
        _count += _keys[slot] == Free ? 1 : 0;
        _keys[slot] = key;
        _values[slot] = value;
    }

    /// <summary>The most slots in a row that are taken: a search looks at no more than these and one.</summary>
    public int LongestRun()
    {
        int longest = 0, run = 0;
        foreach (ulong key in _keys)
        {
            run = key == Free ? 0 : run + 1;
            longest = Math.Max(longest, run);
        }

        return longest;
    }

    /// <summary>The slot that holds the key, or the free one where it belongs.</summary>
    private int Find(ulong key)
    {
        ulong[] keys = _keys;
        int mask = keys.Length - 1;

        // Fibonacci hashing of both halves: the high bits of the product are the well mixed ones.
        ulong mixed = (key ^ (key >> 29)) * 0x9E3779B97F4A7C15;
        int slot = (int)(mixed >> 32) & mask;
        while (keys[slot] != key && keys[slot] != Free)
        {
            slot = (slot + 1) & mask;
        }

        return slot;
    }

    private void Grow()
    {
        (ulong[] keys, ulong[] values) = (_keys, _values);
        _keys = NewKeys(keys.Length * 2);
        _values = new ulong[keys.Length * 2];
        for (int i = 0; i < keys.Length; i++)
        {
            if (keys[i] != Free)
            {
                int slot = Find(keys[i]);
                _keys[slot] = keys[i];
                _values[slot] = values[i];
            }
        }
    }

    private static ulong[] NewKeys(int length)
    {
        var keys = new ulong[length];
        Array.Fill(keys, Free);
        return keys;
    }
}
