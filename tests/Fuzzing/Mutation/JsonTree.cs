using System.Buffers;
using System.Text.Json;

namespace Lora.Fuzzing.Mutation;

/// <summary>A JSON value whose names and leaves are bytes as they stand in the file, right or wrong: a name may come twice, a number may be none.</summary>
internal sealed class JsonTree
{
    private JsonTree(JsonTokenType kind, byte[]? name, byte[] leaf)
    {
        Kind = kind;
        Name = name;
        Leaf = leaf;
    }

    /// <summary><see cref="JsonTokenType.StartObject"/>, <see cref="JsonTokenType.StartArray"/>, or <see cref="JsonTokenType.None"/> for a leaf.</summary>
    internal JsonTokenType Kind { get; set; }

    /// <summary>The name in its quotes; null in an array.</summary>
    internal byte[]? Name { get; set; }

    internal byte[] Leaf { get; set; }

    internal List<JsonTree> Children { get; private init; } = [];

    internal bool IsLeaf => Kind == JsonTokenType.None;

    internal static JsonTree Of(byte[] leaf, byte[]? name = null) => new(JsonTokenType.None, name, leaf);

    internal static JsonTree Parse(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        return Parse(ref reader, null);
    }

    internal JsonTree Clone() => new(Kind, Name, Leaf) { Children = Children.ConvertAll(child => child.Clone()) };

    internal void Write(ArrayBufferWriter<byte> target)
    {
        if (Name is not null)
        {
            target.Write(Name);
            target.Write(":"u8);
        }
        if (IsLeaf)
        {
            target.Write(Leaf);
            return;
        }
        target.Write(Kind == JsonTokenType.StartObject ? "{"u8 : "["u8);
        for (int i = 0; i < Children.Count; i++)
        {
            if (i > 0) target.Write(","u8);
            Children[i].Write(target);
        }
        target.Write(Kind == JsonTokenType.StartObject ? "}"u8 : "]"u8);
    }

    private static JsonTree Parse(ref Utf8JsonReader reader, byte[]? name)
    {
        JsonTokenType kind = reader.TokenType;
        if (kind is not (JsonTokenType.StartObject or JsonTokenType.StartArray)) return Of(kind == JsonTokenType.String ? Quoted(reader.ValueSpan) : reader.ValueSpan.ToArray(), name);
        var tree = new JsonTree(kind, name, []);
        while (reader.Read() && reader.TokenType is not (JsonTokenType.EndObject or JsonTokenType.EndArray))
        {
            byte[]? inner = null;
            if (reader.TokenType == JsonTokenType.PropertyName)
            {
                inner = Quoted(reader.ValueSpan);
                reader.Read();
            }
            tree.Children.Add(Parse(ref reader, inner));
        }
        return tree;
    }

    private static byte[] Quoted(ReadOnlySpan<byte> text) => [(byte)'"', .. text, (byte)'"'];
}
