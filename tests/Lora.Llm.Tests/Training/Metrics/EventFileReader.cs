using System.Buffers.Binary;
using System.Text;

namespace Lora.Llm.Tests.Training.Metrics;

/// <summary>Reads TensorBoard's event files, written from the descriptions of TFRecord, CRC-32C and the protocol buffers, and independent of the writer.</summary>
internal static class EventFileReader
{
    internal sealed record Event(double Time, long Step, string? Version, bool Starts, IReadOnlyDictionary<string, float> Scalars);

    internal static List<Event> Read(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        List<Event> events = [];
        for (int at = 0; at < file.Length;)
        {
            int length = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at)));
            Assert.Equal(Masked(file.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)));
            ReadOnlySpan<byte> message = file.AsSpan(at + 12, length);
            Assert.Equal(Masked(message), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)));
            events.Add(Parse(message.ToArray()));
            at += 16 + length;
        }
        return events;
    }

    internal static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        uint crc = 0xFFFFFFFF;
        foreach (byte value in bytes)
        {
            crc ^= value;
            // Bit by bit with Castagnoli's polynomial, reflected.
            for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
        }
        return ~crc;
    }

    private static uint Masked(ReadOnlySpan<byte> bytes)
    {
        uint crc = Checksum(bytes);
        return unchecked(((crc >> 15) | (crc << 17)) + 0xA282EAD8);
    }

    private static Event Parse(byte[] message)
    {
        double time = 0;
        long step = 0;
        string? version = null;
        bool starts = false;
        var scalars = new Dictionary<string, float>();
        foreach ((int field, int wire, byte[] content) in Fields(message))
        {
            switch (field, wire)
            {
                case (1, 1): time = BinaryPrimitives.ReadDoubleLittleEndian(content); break;
                case (2, 0): step = (long)BinaryPrimitives.ReadUInt64LittleEndian(content); break;
                case (3, 2): version = Encoding.UTF8.GetString(content); break;
                case (7, 2): starts = Fields(content).Any(inner => inner.Field == 1 && inner.Content[0] == 1); break;
                case (5, 2):
                    foreach (byte[] value in Fields(content).Where(inner => inner.Field == 1).Select(inner => inner.Content))
                        scalars.Add(Encoding.UTF8.GetString(Fields(value).Single(part => part is { Field: 1, Wire: 2 }).Content), BinaryPrimitives.ReadSingleLittleEndian(Fields(value).Single(part => part is { Field: 2, Wire: 5 }).Content));
                    break;
                default: Assert.Fail($"Unknown field {field} of wire type {wire}."); break;
            }
        }
        return new Event(time, step, version, starts, scalars);
    }

    private static List<(int Field, int Wire, byte[] Content)> Fields(byte[] message)
    {
        List<(int, int, byte[])> fields = [];
        for (int at = 0; at < message.Length;)
        {
            int key = (int)Varint(ref at), wire = key & 7;
            byte[] content = new byte[8];
            if (wire == 0) BinaryPrimitives.WriteUInt64LittleEndian(content, Varint(ref at));
            else
            {
                int length = wire switch { 1 => 8, 5 => 4, 2 => (int)Varint(ref at), _ => throw new InvalidDataException($"Wire type {wire}.") };
                content = message[at..(at + length)];
                at += length;
            }
            fields.Add((key >> 3, wire, content));
        }
        return fields;

        ulong Varint(ref int at)
        {
            ulong value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte part = message[at++];
                value |= (ulong)(part & 0x7F) << shift;
                if (part < 0x80) return value;
            }
        }
    }
}
