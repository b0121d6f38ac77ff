namespace Lora.Llm.Tokenization;

/// <summary>A binary heap of the merges in reach: the lowest rank first, and of one rank the leftmost.</summary>
internal sealed class MergeQueue
{
    private ulong[] _items = new ulong[64];
    private int _count;

    public void Clear() => _count = 0;

    public void Push(int rank, int position)
    {
        if (_count == _items.Length)
        {
            Array.Resize(ref _items, _count * 2);
        }

        ulong item = ((ulong)(uint)rank << 32) | (uint)position;
        int hole = _count++;
        while (hole > 0 && _items[(hole - 1) / 2] > item)
        {
            _items[hole] = _items[(hole - 1) / 2];
            hole = (hole - 1) / 2;
        }

        _items[hole] = item;
    }

    public bool TryPop(out int rank, out int position)
    {
        if (_count == 0)
        {
            rank = position = 0;
            return false;
        }

        ulong top = _items[0];
        rank = (int)(top >> 32);
        position = (int)(uint)top;
        ulong last = _items[--_count];
        int hole = 0;
        for (int child = 1; child < _count; child = (2 * hole) + 1)
        {
            if (child + 1 < _count && _items[child + 1] < _items[child])
            {
                child++;
            }

            if (_items[child] >= last)
            {
                break;
            }

            _items[hole] = _items[child];
            hole = child;
        }

        _items[hole] = last;
        return true;
    }
}
