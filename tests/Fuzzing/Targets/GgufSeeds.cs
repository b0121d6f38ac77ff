using System.Text;
using Lora.Export.Gguf;
using Lora.Fuzzing.Mutation;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Fuzzing.Targets;

/// <summary>Small GGUF files: some by our own writer, some laid out by chance, right but for one number.</summary>
internal static class GgufSeeds
{
    private static readonly (uint Type, int Length, int Bytes)[] _types = [(0, 1, 4), (1, 1, 2), (2, 32, 18), (3, 32, 20), (8, 32, 34), (10, 256, 84), (12, 256, 144), (24, 1, 1), (28, 1, 8), (30, 1, 2)];

    internal static IEnumerable<FuzzSeed> Make()
    {
        yield return Written("every kind of value", 32, writer =>
        {
            writer.Add("general.architecture", "llama");
            foreach (object value in (object[])[(byte)1, (sbyte)-1, (ushort)2, (short)-2, 3u, -3, 4ul, -4L, 0.5f, 0.25, true]) writer.Add($"v.{value.GetType().Name}", value);
            writer.Add("tokenizer.ggml.tokens", new[] { "<s>", "a", "é", "" });
            writer.Add("tokenizer.ggml.scores", new[] { 0f, -1.5f, float.NaN });
            writer.Add("truths", new[] { true, false });
            writer.Add("numbers", new[] { 1L, -1L });
            writer.Add("empty", Array.Empty<uint>());
        });
        yield return Written("every codec", 32, writer =>
        {
            foreach (GgufType type in (GgufType[])[GgufType.F32, GgufType.F16, GgufType.BF16, GgufType.Q80, GgufType.Q40]) writer.AddTensor($"t.{type}", ones(2, 32), type);
        });
        yield return Written("another alignment", 64, writer => writer.AddTensor("a.weight", arange(6, dtype: float32).reshape(1, 2, 3)));
        yield return Written("nothing", 32, _ => { });
    }

    /// <summary>A file whose tables are made by chance; one number in it may be wrong.</summary>
    internal static byte[] Arranged(FuzzRandom random)
    {
        int pairs = random.Small(6) - 1, tensors = random.Small(8) - 1;
        uint alignment = random.OneIn(6) ? 8u << random.Next(26) : 32;
        bool says = alignment != 32;
        var file = new MemoryStream();
        var writer = new BinaryWriter(file);
        writer.Write("GGUF"u8);
        writer.Write(random.OneIn(8) ? 2u : 3u);
        writer.Write((ulong)tensors);
        writer.Write((ulong)(pairs + (says ? 1 : 0)));
        if (says)
        {
            Text(writer, "general.alignment");
            writer.Write(4u);
            writer.Write(alignment);
        }
        for (int i = 0; i < pairs; i++)
        {
            Text(writer, $"k{(random.OneIn(40) ? 0 : i)}");
            uint type = (uint)random.Next(13);
            writer.Write(type);
            if (type != 9)
            {
                Value(writer, type, random);
                continue;
            }
            type = (uint)random.Next(9);
            int count = random.Small(40) - 1;
            writer.Write(type);
            writer.Write((ulong)count);
            for (int k = 0; k < count; k++) Value(writer, type, random);
        }
        long offset = 0;
        for (int i = 0; i < tensors; i++)
        {
            (uint type, int length, int bytes) = random.Pick(_types);
            Text(writer, $"t{(random.OneIn(60) ? 0 : i)}.weight");
            int dimensions = random.OneIn(30) ? random.Next(7) : 1 + random.Next(4);
            writer.Write((uint)dimensions);
            long elements = 1;
            for (int k = 0; k < dimensions; k++)
            {
                long size = k == 0 ? length * (1 + random.Next(3)) : 1 + random.Next(3);
                elements *= size;
                writer.Write(size);
            }
            writer.Write(type);
            writer.Write((ulong)offset);
            long end = offset + (elements / length * bytes);
            offset = (end + alignment - 1) / alignment * alignment;
        }
        int header = (int)file.Length;
        long padded = (header + (long)alignment - 1) / alignment * alignment, all = Math.Min(padded + offset, 1 << 16);
        if (all > header) writer.Write(new byte[all - header]);
        byte[] made = file.ToArray();
        return random.OneIn(2) ? made : Wrong(made, header, random);
    }

    // One number of the header.
    private static byte[] Wrong(byte[] file, int header, FuzzRandom random)
    {
        int width = random.OneIn(2) ? 8 : 4, place = random.OneIn(4) ? 8 * random.Next(3) : random.Next(header);
        byte[] number = BitConverter.GetBytes(random.Pick(Extremes.Numbers));
        number.AsSpan(0, Math.Min(width, file.Length - place)).CopyTo(file.AsSpan(place));
        return file;
    }

    private static void Value(BinaryWriter writer, uint type, FuzzRandom random)
    {
        if (type == 8) Text(writer, random.OneIn(3) ? "" : "é token");
        else if (type == 7) writer.Write((byte)random.Next(random.OneIn(30) ? 3 : 2));
        else writer.Write(BitConverter.GetBytes(random.NextBits()), 0, type switch { 0 or 1 => 1, 2 or 3 => 2, 4 or 5 or 6 => 4, _ => 8 });
    }

    private static void Text(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static FuzzSeed Written(string name, int alignment, Action<GgufWriter> add)
    {
        string path = Path.GetTempFileName();
        try
        {
            using DisposeScope scope = NewDisposeScope();
            var writer = new GgufWriter(alignment);
            add(writer);
            writer.Save(path);
            return new FuzzSeed(name, File.ReadAllBytes(path));
        }
        finally
        {
            File.Delete(path);
        }
    }
}
