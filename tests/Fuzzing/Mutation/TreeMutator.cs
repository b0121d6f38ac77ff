using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Lora.Fuzzing.Mutation;

/// <summary>Damages JSON where its structure lies: values of wrong types, names twice or missing, numbers at their borders, deep nesting, many items.</summary>
internal sealed class TreeMutator
{
    // One input in so many grows by much, which shows costs that grow faster than the file.
    private const int SeldomLarge = 1000;
    private const int LargeBytes = 1 << 19;

    private readonly Dictionary<FuzzSeed, JsonTree> _trees;
    private readonly List<JsonTree> _pool = [];
    private readonly List<byte[]> _names;
    private readonly ArrayBufferWriter<byte> _output = new();
    private readonly List<(JsonTree Parent, int Place)> _places = [];

    internal TreeMutator(IReadOnlyList<FuzzSeed> seeds, Func<FuzzSeed, JsonTree>? parse = null)
    {
        _trees = seeds.ToDictionary(seed => seed, seed => parse?.Invoke(seed) ?? JsonTree.Parse(seed.Bytes));
        foreach (JsonTree tree in _trees.Values) Collect(tree);
        _names = [.. _pool.Select(node => node.Name).OfType<byte[]>().DistinctBy(Encoding.Latin1.GetString)];
        if (_names.Count == 0) _names.Add("\"a\""u8.ToArray());
    }

    internal byte[] Mutate(FuzzSeed seed, FuzzRandom random)
    {
        JsonTree tree = _trees[seed].Clone();
        for (int count = random.Small(8); count > 0; count--)
        {
            _places.Clear();
            Places(tree);
            if (_places.Count == 0) break;
            (JsonTree parent, int place) = random.Pick(_places);
            Once(parent, place, random);
        }
        _output.ResetWrittenCount();
        tree.Write(_output);
        byte[] bytes = _output.WrittenSpan.ToArray();
        return random.OneIn(12) ? ByteMutator.Mutate(bytes, [], random) : bytes;
    }

    private void Once(JsonTree parent, int place, FuzzRandom random)
    {
        JsonTree node = parent.Children[place];
        switch (random.Next(15))
        {
            case 0 or 1 or 2:
                parent.Children[place] = JsonTree.Of(random.Pick(Extremes.Leaves), node.Name);
                break;
            case 3:
                parent.Children.RemoveAt(place);
                break;
            case 4:
                JsonTree twin = random.OneIn(2) ? node.Clone() : JsonTree.Of(random.Pick(Extremes.Leaves), node.Name);
                parent.Children.Insert(random.Next(parent.Children.Count + 1), twin);
                break;
            case 5 when node.Name is not null:
                node.Name = random.OneIn(2) ? random.Pick(_names) : AsName(random.Pick(Extremes.Leaves));
                break;
            case 6:
                JsonTree other = random.Pick(_pool).Clone();
                other.Name = node.Name;
                parent.Children[place] = other;
                break;
            case 7:
                Nest(parent, place, random.OneIn(8) ? random.Small(512) : random.Small(4), random);
                break;
            case 8:
                int second = random.Next(parent.Children.Count);
                JsonTree exchanged = parent.Children[second];
                if (random.OneIn(2)) (exchanged.Name, node.Name) = (node.Name, exchanged.Name);
                (parent.Children[place], parent.Children[second]) = (exchanged, node);
                break;
            case 9:
                Repeat(parent, place, random);
                break;
            case 10 or 11 when node.IsLeaf:
                node.Leaf = ByteMutator.Mutate(node.Leaf, random.Pick(Extremes.Leaves), random);
                break;
            case 12 when node.IsLeaf && node.Leaf.Length > 1:
                node.Leaf = node.Leaf[0] == (byte)'"' ? node.Leaf[1..^1] : AsName(node.Leaf);
                break;
            case 13:
                JsonTree added = random.OneIn(2) ? random.Pick(_pool).Clone() : JsonTree.Of(random.Pick(Extremes.Leaves));
                added.Name = parent.Kind == JsonTokenType.StartObject ? random.Pick(_names) : null;
                parent.Children.Insert(place, added);
                break;
            default:
                if (node.IsLeaf) parent.Children[place] = JsonTree.Of(random.Pick(Extremes.Leaves), node.Name);
                else node.Children.Clear();
                break;
        }
    }

    private static byte[] AsName(byte[] leaf) => leaf.Length > 0 && leaf[0] == (byte)'"' ? leaf : [(byte)'"', .. leaf, (byte)'"'];

    private static void Nest(JsonTree parent, int place, int depth, FuzzRandom random)
    {
        bool objects = random.OneIn(2);
        var text = new StringBuilder();
        for (int i = 0; i < depth; i++) text.Append(objects ? "{\"a\":" : "[");
        text.Append('0');
        for (int i = 0; i < depth; i++) text.Append(objects ? '}' : ']');
        parent.Children[place] = JsonTree.Of(Encoding.ASCII.GetBytes(text.ToString()), parent.Children[place].Name);
    }

    private static void Repeat(JsonTree parent, int place, FuzzRandom random)
    {
        JsonTree node = parent.Children[place];
        int size = Size(node), times = Math.Min(random.OneIn(SeldomLarge) ? 1 << 15 : random.Small(64), Math.Max(1, LargeBytes / Math.Max(size, 1)));
        bool renamed = node.Name is not null && random.OneIn(2);
        for (int i = 0; i < times; i++)
        {
            JsonTree copy = node.Clone();
            if (renamed) copy.Name = Encoding.ASCII.GetBytes($"\"{i}\"");
            parent.Children.Add(copy);
        }
    }

    private static int Size(JsonTree node) => 4 + (node.Name?.Length ?? 0) + node.Leaf.Length + node.Children.Sum(Size);

    private void Collect(JsonTree node)
    {
        // Whole vocabularies would fill the pool with tokens.
        foreach (JsonTree child in node.Children.Take(24))
        {
            _pool.Add(child);
            Collect(child);
        }
    }

    private void Places(JsonTree node)
    {
        for (int i = 0; i < node.Children.Count; i++)
        {
            _places.Add((node, i));
            Places(node.Children[i]);
        }
    }
}
