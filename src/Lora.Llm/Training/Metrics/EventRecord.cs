using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Lora.Llm;

/// <summary>TensorBoard's event files: records of TensorFlow (TFRecord) that hold protocol buffers of the type <c>tensorflow.Event</c>.</summary>
internal static class EventRecord
{
    // The numbers of the fields in event.proto and summary.proto.
    private const int WallTime = 1, Step = 2, Version = 3, Summary = 5, SessionLog = 7, Value = 1, Tag = 1, SimpleValue = 2, Status = 1, Started = 1;
    private const int Varint = 0, Fixed64 = 1, LengthDelimited = 2, Fixed32 = 5;

    internal static byte[] FileVersion(double time) => Event(time, 0, Bytes(Version, "brain.Event:2"u8));

    /// <summary>Says that a run begins, or begins again, at a step: older events of this step and later ones count no longer.</summary>
    internal static byte[] Start(double time, long step) => Event(time, step, Bytes(SessionLog, [.. Key(Status, Varint), Started]));

    internal static byte[] Scalars(double time, long step, IReadOnlyList<(string Tag, float Value)> scalars) =>
        Event(time, step, Bytes(Summary, [.. scalars.SelectMany(scalar => Bytes(Value, [.. Bytes(Tag, Encoding.UTF8.GetBytes(scalar.Tag)), .. Key(SimpleValue, Fixed32), .. Single(scalar.Value)]))]));

    /// <summary>A record: its length, a checksum of that, the bytes, a checksum of these.</summary>
    internal static byte[] Framed(ReadOnlySpan<byte> message)
    {
        byte[] record = new byte[8 + 4 + message.Length + 4];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)message.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), MaskedChecksum(record.AsSpan(0, 8)));
        message.CopyTo(record.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + message.Length), MaskedChecksum(message));
        return record;
    }

    // CRC-32C, rotated and shifted so that a checksum of data with checksums inside is none that fits by chance.
    private static uint MaskedChecksum(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes) crc = BitOperations.Crc32C(crc, value);
        return unchecked(BitOperations.RotateRight(~crc, 15) + 0xA282EAD8u);
    }

    private static byte[] Event(double time, long step, byte[] content) => [.. Key(WallTime, Fixed64), .. Double(time), .. Key(Step, Varint), .. Variable((ulong)step), .. content];

    private static byte[] Bytes(int field, ReadOnlySpan<byte> content) => [.. Key(field, LengthDelimited), .. Variable((ulong)content.Length), .. content];

    private static byte[] Key(int field, int wire) => Variable((ulong)(field << 3 | wire));

    private static byte[] Variable(ulong value)
    {
        List<byte> bytes = [];
        for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
        return [.. bytes];
    }

    private static byte[] Single(float value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
        return bytes;
    }

    private static byte[] Double(double value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
        return bytes;
    }
}
