using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>GPT-2's alphabet: every byte as one printable character.</summary>
internal static class ByteAlphabet
{
    private const int Reach = 0x180;

    private static readonly char[] Characters = new char[256];
    private static readonly short[] Bytes = new short[Reach];

    static ByteAlphabet()
    {
        Array.Fill(Bytes, (short)-1);
        char next = '\u0100';
        for (int value = 0; value < 256; value++)
        {
            bool isPrintable = value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            char character = isPrintable ? (char)value : next++;
            Characters[value] = character;
            Bytes[character] = (short)value;
        }
    }

    /// <summary>What stands for a blank.</summary>
    public const char Space = 'Ġ';

    public static char ToCharacter(byte value) => Characters[value];

    /// <summary>The byte that a character stands for, or -1.</summary>
    public static int ToByte(char character) => character < Reach ? Bytes[character] : -1;

    /// <summary>Whether every character stands for a byte; if so they are added to <paramref name="bytes"/>.</summary>
    public static bool TryAppendBytes(string token, List<byte> bytes)
    {
        int before = bytes.Count;
        foreach (char character in token)
        {
            int value = ToByte(character);
            if (value < 0)
            {
                bytes.RemoveRange(before, bytes.Count - before);
                return false;
            }

            bytes.Add((byte)value);
        }

        return true;
    }
}
