using System.Buffers.Binary;
using System.Text;
using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

/// <summary>Damaged files, many of them: each is read whole or refused, and never anything else.</summary>
public sealed class SafetensorsFuzzTests : IDisposable
{
    private static readonly string[] _pieces =
    [
        "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", "\"a.lora_A\"", "\"F32\"", "\"F4\"", ":", ",", "{", "}", "[", "]", "0", "-1", "1e9", "NaN",
        "9223372036854775807", "18446744073709551616", "\"\\ud83d\"", "null", "true", "\u00ff",
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_damaged_file_is_read_or_refused(int seed)
    {
        var random = new Random(seed);
        byte[] whole = Whole();
        int refused = 0, read = 0;
        for (int i = 0; i < 1500; i++)
        {
            List<byte> bytes = [.. whole];
            for (int damages = random.Next(1, 4); damages > 0; damages--) Damage(bytes, random);
            File.WriteAllBytes(_folder["x"], [.. bytes]);
            if (IsReadWhole()) read++;
            else refused++;
        }
        Assert.True(refused > 1000 && read > 10, $"{refused} files were refused and {read} read: the damages have lost their teeth.");
    }

    private bool IsReadWhole()
    {
        using DisposeScope scope = NewDisposeScope();
        try
        {
            using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
            foreach (SafetensorsEntry entry in file.Entries)
            {
                Assert.Equal(entry.ByteCount, file.GetBytes(entry.Name).Length);
                if (entry.Type.ToScalarType() is not null) Assert.Equal(entry.Shape, file.ReadTensor(entry.Name).shape);
            }
            return true;
        }
        catch (AdapterFormatException exception)
        {
            Assert.NotEmpty(exception.Problems);
            return false;
        }
    }

    private static byte[] Whole()
    {
        using DisposeScope scope = NewDisposeScope();
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(
            stream,
            [new("a.lora_A", ones([2, 3])), new("b", zeros([2], ScalarType.BFloat16)), new("none", zeros([0])), new("long", zeros([3, 1, 2], ScalarType.Int64)), new("flag", ones([1], ScalarType.Bool))]);
        return stream.ToArray();
    }

    private static void Damage(List<byte> bytes, Random random)
    {
        int header = Math.Max(1, Math.Min(400, bytes.Count - 8));
        int place = Math.Min(bytes.Count, 8 + random.Next(header));
        switch (random.Next(6))
        {
            case 0 when bytes.Count > 0:
                bytes[random.Next(bytes.Count)] = (byte)random.Next(256);
                break;
            case 1 when place < bytes.Count:
                bytes[place] = (byte)random.Next(' ', '~');
                break;
            case 2:
                int left = random.Next(bytes.Count + 1);
                bytes.RemoveRange(left, bytes.Count - left);
                break;
            case 3:
                byte[] piece = Encoding.UTF8.GetBytes(_pieces[random.Next(_pieces.Length)]);
                bytes.InsertRange(place, piece);
                MoveEnd(bytes, piece.Length);
                break;
            case 4:
                int count = Math.Min(random.Next(1, 12), bytes.Count - place);
                bytes.RemoveRange(place, count);
                MoveEnd(bytes, -count);
                break;
            case 5 when bytes.Count > 8:
                int digit = bytes.FindIndex(random.Next(8, bytes.Count), value => value is >= (byte)'0' and <= (byte)'9');
                if (digit >= 0) bytes[digit] = (byte)random.Next('0', '9' + 1);
                break;
        }
    }

    // The header's length follows, so that the damage is looked at rather than the length.
    private static void MoveEnd(List<byte> bytes, int by)
    {
        if (bytes.Count < 8) return;
        Span<byte> length = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(bytes)[..8];
        BinaryPrimitives.WriteInt64LittleEndian(length, BinaryPrimitives.ReadInt64LittleEndian(length) + by);
    }
}
