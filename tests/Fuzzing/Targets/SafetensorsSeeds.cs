using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Fuzzing.Targets;

/// <summary>Small safetensors files: some by our own writer, some laid out by chance, right but for one offset.</summary>
internal static class SafetensorsSeeds
{
    internal static IEnumerable<FuzzSeed> Make()
    {
        yield return Written("our writer", ("a.weight", arange(6, dtype: float32).reshape(2, 3)), ("b", ones(1, dtype: float64)), ("c.bias", zeros(4, dtype: bfloat16)), ("d", zeros(0, 3)), ("e", ones(2, 2, dtype: int8)));
        yield return Written("one number", ("x", ones(1)));
        yield return Written("no tensor");
        yield return new FuzzSeed("every type", Text(
            "{\"__metadata__\":{\"format\":\"pt\",\"é\":\"\\u00e9\"},\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,2],\"data_offsets\":[8,12]},\"c\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[12,14]},"
            + "\"d\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[14,17]},\"e\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[17,18]},\"f\":{\"dtype\":\"C64\",\"shape\":[0],\"data_offsets\":[18,18]},\"g\":{\"dtype\":\"U64\",\"shape\":[1,1,1],\"data_offsets\":[18,26]}}", 26));
    }

    /// <summary>A file whose tensors follow each other in any order; seldom with one number wrong.</summary>
    internal static byte[] Arranged(FuzzRandom random)
    {
        int count = random.Small(24), position = 0, wrong = random.OneIn(2) ? random.Next(count) : -1;
        var entries = new List<string>();
        for (int i = 0; i < count; i++)
        {
            var type = (SafetensorsType)random.Next(22);
            long[] shape = new long[random.OneIn(16) ? random.Small(70) : random.Next(5)];
            for (int k = 0; k < shape.Length; k++) shape[k] = random.OneIn(6) ? 0 : random.OneIn(40) ? (long)(random.Pick(Mutation.Extremes.Numbers) >> 1) : shape.Length > 5 ? 1 : 1 + random.Next(4);
            UInt128 bits = (UInt128)(ulong)type.BitsPerElement();
            foreach (long size in shape) bits = bits > 1 << 20 && size != 0 ? bits : bits * (ulong)size;
            int bytes = (int)UInt128.Min(bits / 8, 1 << 12);
            long begin = position, end = position + bytes;
            position += bytes;
            if (i == wrong)
            {
                if (random.OneIn(2)) begin = Shifted(begin, random);
                else end = Shifted(end, random);
            }
            entries.Add(string.Create(CultureInfo.InvariantCulture, $"\"t{(random.OneIn(200) ? 0 : i)}\":{{\"dtype\":\"{type.ToFileName()}\",\"shape\":[{string.Join(',', shape)}],\"data_offsets\":[{begin},{end}]}}"));
        }
        for (int i = entries.Count - 1; i > 0; i--)
        {
            int other = random.Next(i + 1);
            (entries[i], entries[other]) = (entries[other], entries[i]);
        }
        return Text($"{{{string.Join(',', entries)}}}", random.OneIn(8) ? Math.Max(0, position + random.Next(9) - 4) : position);
    }

    internal static byte[] File(ReadOnlySpan<byte> header, ReadOnlySpan<byte> data)
    {
        byte[] file = new byte[8 + header.Length + data.Length];
        BinaryPrimitives.WriteInt64LittleEndian(file, header.Length);
        header.CopyTo(file.AsSpan(8));
        data.CopyTo(file.AsSpan(8 + header.Length));
        return file;
    }

    private static long Shifted(long offset, FuzzRandom random) => random.OneIn(2) ? offset + random.Next(17) - 8 : (long)random.Pick(Mutation.Extremes.Numbers);

    private static byte[] Text(string header, int dataBytes)
    {
        byte[] data = new byte[dataBytes];
        for (int i = 0; i < data.Length; i++) data[i] = (byte)(i * 7);
        return File(Encoding.UTF8.GetBytes(header), data);
    }

    private static FuzzSeed Written(string name, params (string Name, Tensor Tensor)[] tensors)
    {
        string path = Path.GetTempFileName();
        try
        {
            SafetensorsWriter.Save(path, tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Tensor));
            return new FuzzSeed(name, System.IO.File.ReadAllBytes(path));
        }
        finally
        {
            System.IO.File.Delete(path);
            foreach ((_, Tensor tensor) in tensors) tensor.Dispose();
        }
    }
}
