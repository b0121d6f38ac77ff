namespace Lora.Llm.Tokenization;

/// <summary>Tokens by their beginnings: a walk from a place in a text meets every token that starts there, the shortest first.</summary>
internal sealed class TokenTrie
{
    public const int Root = 0;
    public const int None = -1;

    // One open-addressed table of all edges; a slot is the parent's number and the character, and 0 where it is free.
    private ulong[] _edges = new ulong[64];
    private int[] _targets = new int[64];
    private int[] _ids = [None];
    private int _count = 1;

    public void Add(ReadOnlySpan<char> token, int id)
    {
        int node = Root;
        foreach (char unit in token)
        {
            int next = Next(node, unit);
            node = next >= 0 ? next : AddEdge(node, unit);
        }

        _ids[node] = id;
    }

    /// <summary>The node that a character leads to, or <see cref="None"/>.</summary>
    public int Next(int node, char unit)
    {
        ulong edge = Edge(node, unit);
        ulong[] edges = _edges;
        for (int slot = Slot(edge); ; slot = (slot + 1) & (edges.Length - 1))
        {
            if (edges[slot] == edge)
            {
                return _targets[slot];
            }

            if (edges[slot] == 0)
            {
                return None;
            }
        }
    }

    /// <summary>The token that ends at a node, or <see cref="None"/>.</summary>
    public int Id(int node) => _ids[node];

    /// <summary>The longest token that the text begins with, or <see cref="None"/>.</summary>
    public int Longest(ReadOnlySpan<char> text, out int length)
    {
        int id = None, node = Root;
        length = 0;
        for (int i = 0; i < text.Length; i++)
        {
            node = Next(node, text[i]);
            if (node < 0)
            {
                break;
            }

            if (_ids[node] >= 0)
            {
                id = _ids[node];
                length = i + 1;
            }
        }

        return id;
    }

    private static ulong Edge(int node, char unit) => ((ulong)(uint)(node + 1) << 16) | unit;

    // Fibonacci hashing: the high bits of the product are the well mixed ones.
    private int Slot(ulong edge) => (int)((edge * 0x9E3779B97F4A7C15) >> 32) & (_edges.Length - 1);

    private int AddEdge(int node, char unit)
    {
        if (_count == _ids.Length)
        {
            Array.Resize(ref _ids, _count * 2);
        }

        if (_count * 2 > _edges.Length)
        {
            Grow();
        }

        _ids[_count] = None;
        Insert(Edge(node, unit), _count);
        return _count++;
    }

    private void Grow()
    {
        ulong[] edges = _edges;
        int[] targets = _targets;
        _edges = new ulong[edges.Length * 2];
        _targets = new int[edges.Length * 2];
        for (int i = 0; i < edges.Length; i++)
        {
            if (edges[i] != 0)
            {
                Insert(edges[i], targets[i]);
            }
        }
    }

    private void Insert(ulong edge, int target)
    {
        int slot = Slot(edge);
        while (_edges[slot] != 0)
        {
            slot = (slot + 1) & (_edges.Length - 1);
        }

        _edges[slot] = edge;
        _targets[slot] = target;
    }
}
