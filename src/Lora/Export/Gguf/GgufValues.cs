using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Lora.Export.Gguf;

/// <summary>The values of a GGUF file's metadata, as the .NET types that have the same range. A list is an array of one of the types.</summary>
internal static class GgufValues
{
    private const uint ListNumber = 9;
    private const uint TextNumber = 8;
    private const uint TruthNumber = 7;

    // By the format's number; the size in bytes, 0 where it varies.
    private static readonly (Type Type, int Size)[] _types =
    [
        (typeof(byte), 1), (typeof(sbyte), 1), (typeof(ushort), 2), (typeof(short), 2), (typeof(uint), 4), (typeof(int), 4), (typeof(float), 4), (typeof(bool), 1),
        (typeof(string), 0), (typeof(Array), 0), (typeof(ulong), 8), (typeof(long), 8), (typeof(double), 8),
    ];

    internal static string TypeNames => "byte, sbyte, ushort, short, uint, int, ulong, long, float, double, bool, string, and arrays of them";

    internal static bool IsSupported(object value) => Array.FindIndex(_types, type => type.Type == (value is Array array ? array.GetType().GetElementType() : value.GetType())) is not -1 and not (int)ListNumber;

    internal static object Read(GgufCursor cursor, string what)
    {
        long place = cursor.Position;
        uint type = cursor.UInt32($"the type of {what}");
        if (type >= _types.Length) throw cursor.Problem(place, $"{what} has the type {type}, which the format does not have.");
        return type == ListNumber ? ReadArray(cursor, what) : ReadOne(cursor, type, what);
    }

    internal static void Write(BinaryWriter writer, object value)
    {
        if (value is Array array)
        {
            Type element = array.GetType().GetElementType()!;
            writer.Write(ListNumber);
            writer.Write(NumberOf(element));
            writer.Write((ulong)array.Length);
            foreach (object item in array) WriteOne(writer, item);
            return;
        }
        writer.Write(NumberOf(value.GetType()));
        WriteOne(writer, value);
    }

    internal static void WriteText(BinaryWriter writer, string text)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static uint NumberOf(Type type) => (uint)Array.FindIndex(_types, known => known.Type == type);

    private static void WriteOne(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case byte number: writer.Write(number); break;
            case sbyte number: writer.Write(number); break;
            case ushort number: writer.Write(number); break;
            case short number: writer.Write(number); break;
            case uint number: writer.Write(number); break;
            case int number: writer.Write(number); break;
            case ulong number: writer.Write(number); break;
            case long number: writer.Write(number); break;
            case float number: writer.Write(number); break;
            case double number: writer.Write(number); break;
            case bool truth: writer.Write(truth); break;
            default: WriteText(writer, (string)value); break;
        }
    }

    private static object ReadOne(GgufCursor cursor, uint type, string what)
    {
        long place = cursor.Position;
        if (type == TextNumber) return cursor.Text(what);
        ReadOnlySpan<byte> bytes = cursor.Take(_types[type].Size, what);
        return type switch
        {
            0 => bytes[0],
            1 => (sbyte)bytes[0],
            2 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
            3 => BinaryPrimitives.ReadInt16LittleEndian(bytes),
            4 => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
            5 => BinaryPrimitives.ReadInt32LittleEndian(bytes),
            6 => BinaryPrimitives.ReadSingleLittleEndian(bytes),
            TruthNumber => bytes[0] <= 1 ? bytes[0] == 1 : throw cursor.Problem(place, $"{what} is {bytes[0]}, but a truth value is 0 or 1."),
            10 => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
            11 => BinaryPrimitives.ReadInt64LittleEndian(bytes),
            _ => (object)BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        };
    }

    private static Array ReadArray(GgufCursor cursor, string what)
    {
        long place = cursor.Position;
        uint type = cursor.UInt32($"the type of the items of {what}");
        if (type >= _types.Length) throw cursor.Problem(place, $"the items of {what} have the type {type}, which the format does not have.");
        if (type == ListNumber) throw cursor.Problem(place, $"{what} is a list of lists, which is not supported.");
        ulong count = cursor.UInt64($"the number of items of {what}");
        // A text has its length in front.
        int size = type == TextNumber ? 8 : _types[type].Size;
        if (count > (ulong)(cursor.Left / size) || count > (ulong)Array.MaxLength) throw cursor.Problem(place, $"{what} has {count} items of at least {size} bytes, but the file ends after {cursor.Left} bytes.");
        int length = (int)count;
        if (type == TextNumber)
        {
            var texts = new string[length];
            for (int i = 0; i < length; i++) texts[i] = cursor.Text(what);
            return texts;
        }
        return type switch
        {
            0 => Numbers<byte>(cursor, length, what),
            1 => Numbers<sbyte>(cursor, length, what),
            2 => Numbers<ushort>(cursor, length, what),
            3 => Numbers<short>(cursor, length, what),
            4 => Numbers<uint>(cursor, length, what),
            5 => Numbers<int>(cursor, length, what),
            6 => Numbers<float>(cursor, length, what),
            TruthNumber => Truths(cursor, length, what),
            10 => Numbers<ulong>(cursor, length, what),
            11 => Numbers<long>(cursor, length, what),
            _ => Numbers<double>(cursor, length, what),
        };
    }

    private static T[] Numbers<T>(GgufCursor cursor, int count, string what)
        where T : unmanaged
    {
        // More than 2 GiB do not fit a span; so long a list does not exist, but a file may claim it.
        long bytes = (long)count * Marshal.SizeOf<T>();
        if (bytes > int.MaxValue) throw cursor.Problem(cursor.Position, $"{what} takes {bytes} bytes; {int.MaxValue} are allowed.");
        var numbers = new T[count];
        Span<byte> target = MemoryMarshal.AsBytes(numbers.AsSpan());
        cursor.Take((int)bytes, what).CopyTo(target);
        if (!BitConverter.IsLittleEndian)
        {
            int size = Marshal.SizeOf<T>();
            for (int i = 0; i < count; i++) target.Slice(i * size, size).Reverse();
        }
        return numbers;
    }

    private static bool[] Truths(GgufCursor cursor, int count, string what)
    {
        long place = cursor.Position;
        ReadOnlySpan<byte> bytes = cursor.Take(count, what);
        int wrong = bytes.IndexOfAnyExceptInRange((byte)0, (byte)1);
        if (wrong >= 0) throw cursor.Problem(place + wrong, $"item {wrong} of {what} is {bytes[wrong]}, but a truth value is 0 or 1.");
        var truths = new bool[count];
        for (int i = 0; i < count; i++) truths[i] = bytes[i] == 1;
        return truths;
    }
}
