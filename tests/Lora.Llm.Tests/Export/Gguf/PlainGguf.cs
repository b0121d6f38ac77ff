using System.Text;

namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>A second reader of GGUF, written from the format's description and sharing nothing with the library's: sizes are in the file's order (ne), numbers are float64.</summary>
internal sealed class PlainGguf
{
    private readonly byte[] _bytes;

    public PlainGguf(string path)
    {
        _bytes = File.ReadAllBytes(path);
        using var reader = new BinaryReader(new MemoryStream(_bytes));
        Assert.Equal("GGUF", Encoding.ASCII.GetString(reader.ReadBytes(4)));
        Assert.Equal(3u, reader.ReadUInt32());
        long tensors = reader.ReadInt64(), pairs = reader.ReadInt64();
        for (long i = 0; i < pairs; i++) Values.Add(Text(reader), Value(reader, reader.ReadUInt32()));
        var infos = new List<(string Name, long[] Sizes, uint Type, long Offset)>();
        for (long i = 0; i < tensors; i++)
        {
            string name = Text(reader);
            long[] sizes = [.. Enumerable.Range(0, (int)reader.ReadUInt32()).Select(_ => reader.ReadInt64())];
            infos.Add((name, sizes, reader.ReadUInt32(), reader.ReadInt64()));
        }
        Alignment = Values.TryGetValue("general.alignment", out object? alignment) ? (uint)alignment : 32;
        long start = (reader.BaseStream.Position + Alignment - 1) / Alignment * Alignment;
        Assert.All(_bytes[(int)reader.BaseStream.Position..(int)Math.Min(start, _bytes.Length)], padding => Assert.Equal(0, padding));
        foreach ((string name, long[] sizes, uint type, long offset) in infos)
        {
            Assert.Equal(0, offset % Alignment);
            Tensors.Add(name, new Tensor(name, sizes, type, start + offset));
        }
        Assert.Equal(0, _bytes.Length % Alignment == 0 || tensors == 0 ? 0 : 1);
    }

    public long Alignment { get; }

    public Dictionary<string, object> Values { get; } = [];

    public Dictionary<string, Tensor> Tensors { get; } = [];

    public double Number(string key) => Convert.ToDouble(Values[key], System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The numbers, the first size running fastest.</summary>
    public double[] Numbers(string name)
    {
        Tensor tensor = Tensors[name];
        int count = (int)tensor.Sizes.Aggregate(1L, (product, size) => product * size);
        using var reader = new BinaryReader(new MemoryStream(_bytes));
        reader.BaseStream.Position = tensor.Place;
        var numbers = new double[count];
        switch (tensor.Type)
        {
            case 0:
                for (int i = 0; i < count; i++) numbers[i] = reader.ReadSingle();
                break;
            case 1:
                for (int i = 0; i < count; i++) numbers[i] = (double)reader.ReadHalf();
                break;
            case 30:
                for (int i = 0; i < count; i++) numbers[i] = BitConverter.ToSingle([0, 0, reader.ReadByte(), reader.ReadByte()]);
                break;
            case 8:
                for (int block = 0; block < count; block += 32)
                {
                    double scale = (double)reader.ReadHalf();
                    for (int i = 0; i < 32; i++) numbers[block + i] = scale * reader.ReadSByte();
                }
                break;
            case 2:
                for (int block = 0; block < count; block += 32)
                {
                    double scale = (double)reader.ReadHalf();
                    for (int i = 0; i < 16; i++)
                    {
                        byte pair = reader.ReadByte();
                        numbers[block + i] = scale * (pair % 16 - 8);
                        numbers[block + 16 + i] = scale * (pair / 16 - 8);
                    }
                }
                break;
            default:
                Assert.Fail($"{name} has the type {tensor.Type}");
                break;
        }
        return numbers;
    }

    private static string Text(BinaryReader reader) => Encoding.UTF8.GetString(reader.ReadBytes((int)reader.ReadInt64()));

    private static object Value(BinaryReader reader, uint type) => type switch
    {
        0 => reader.ReadByte(),
        1 => reader.ReadSByte(),
        2 => reader.ReadUInt16(),
        3 => reader.ReadInt16(),
        4 => reader.ReadUInt32(),
        5 => reader.ReadInt32(),
        6 => reader.ReadSingle(),
        7 => reader.ReadByte() == 1,
        8 => Text(reader),
        9 => List(reader),
        10 => reader.ReadUInt64(),
        11 => reader.ReadInt64(),
        12 => reader.ReadDouble(),
        _ => throw new InvalidDataException($"type {type}"),
    };

    private static object[] List(BinaryReader reader)
    {
        uint type = reader.ReadUInt32();
        var items = new object[reader.ReadInt64()];
        for (int i = 0; i < items.Length; i++) items[i] = Value(reader, type);
        return items;
    }

    internal sealed record Tensor(string Name, long[] Sizes, uint Type, long Place);
}
