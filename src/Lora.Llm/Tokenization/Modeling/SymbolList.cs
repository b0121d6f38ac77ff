namespace Lora.Llm.Tokenization;

/// <summary>The symbols of a word as a linked list that merges shorten; each merge costs no more than its place in the queue.</summary>
internal sealed class SymbolList(MergeTable merges)
{
    private const int Gone = -2;

    private readonly MergeQueue _queue = new();
    private Symbol[] _symbols = new Symbol[32];
    private int _count;

    /// <summary>How many merges the last <see cref="MergeAll"/> did.</summary>
    public int MergeCount { get; private set; }

    /// <summary>How many pairs the last <see cref="MergeAll"/> put into the queue: the measure of its work.</summary>
    public int OfferCount { get; private set; }

    public void Clear() => _count = 0;

    public void Add(int id, int start, int end)
    {
        if (_count == _symbols.Length)
        {
            Array.Resize(ref _symbols, _count * 2);
        }

        _symbols[_count] = new Symbol { Id = id, Start = start, End = end, Previous = _count - 1, Next = _count + 1 };
        _count++;
    }

    public void MergeAll()
    {
        MergeCount = OfferCount = 0;
        _queue.Clear();
        for (int i = 0; i + 1 < _count; i++)
        {
            Offer(i);
        }

        while (_queue.TryPop(out int rank, out int position))
        {
            ref Symbol left = ref _symbols[position];
            if (left.Next is Gone || left.Next >= _count)
            {
                continue;
            }

            // The pair may have changed since it was queued; ranks tell pairs apart.
            ref Symbol right = ref _symbols[left.Next];
            if (!merges.TryGet(left.Id, right.Id, out int current, out int merged) || current != rank)
            {
                continue;
            }

            left.Id = merged;
            left.End = right.End;
            left.Next = right.Next;
            right.Next = Gone;
            if (left.Next < _count)
            {
                _symbols[left.Next].Previous = position;
                Offer(position);
            }

            if (left.Previous >= 0)
            {
                Offer(left.Previous);
            }

            MergeCount++;
        }
    }

    public ModelToken[] ToTokens()
    {
        var tokens = new List<ModelToken>();
        for (int i = 0; i < _count; i = _symbols[i].Next)
        {
            tokens.Add(new ModelToken(_symbols[i].Id, _symbols[i].Start, _symbols[i].End));
        }

        return [.. tokens];
    }

    private void Offer(int position)
    {
        if (merges.TryGet(_symbols[position].Id, _symbols[_symbols[position].Next].Id, out int rank, out _))
        {
            _queue.Push(rank, position);
            OfferCount++;
        }
    }

    private struct Symbol
    {
        public int Id;
        public int Start;
        public int End;
        public int Previous;
        public int Next;
    }
}
