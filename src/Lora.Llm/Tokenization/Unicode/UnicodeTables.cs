using System.Collections.Frozen;
using System.Globalization;
using System.IO.Compression;
using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Decompositions, compositions and combining classes of Unicode, independent of the machine's ICU.</summary>
internal static partial class UnicodeTables
{
    private const int HangulBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, TailCount = 28, HangulCount = LeadCount * VowelCount * TailCount;

    private static readonly Lazy<Tables> Loaded = new(Load);

    /// <summary>The canonical combining class; 0 for a starter.</summary>
    public static int CombiningClass(int codePoint) =>
        codePoint >= 0x300 && Loaded.Value.Classes.TryGetValue(codePoint, out byte value) ? value : 0;

    /// <summary>Appends the full decomposition of a code point, the code point itself where it has none.</summary>
    public static void Decompose(int codePoint, bool compatible, List<int> target)
    {
        if (codePoint < 0x80)
        {
            target.Add(codePoint);
        }
        else if (codePoint - HangulBase is >= 0 and < HangulCount and int index)
        {
            target.Add(LeadBase + (index / (VowelCount * TailCount)));
            target.Add(VowelBase + (index % (VowelCount * TailCount) / TailCount));
            if (index % TailCount != 0)
            {
                target.Add(TailBase + (index % TailCount));
            }
        }
        else if (Loaded.Value.Canonical.TryGetValue(codePoint, out int[]? parts) ||
                 (compatible && Loaded.Value.Compatible.TryGetValue(codePoint, out parts)))
        {
            foreach (int part in parts)
            {
                Decompose(part, compatible, target);
            }
        }
        else
        {
            target.Add(codePoint);
        }
    }

    /// <summary>The code point that two code points compose to, or -1.</summary>
    public static int Compose(int first, int second)
    {
        if (first - LeadBase is >= 0 and < LeadCount && second - VowelBase is >= 0 and < VowelCount)
        {
            return HangulBase + ((((first - LeadBase) * VowelCount) + (second - VowelBase)) * TailCount);
        }

        if (first - HangulBase is >= 0 and < HangulCount && (first - HangulBase) % TailCount == 0 &&
            second - TailBase is > 0 and < TailCount)
        {
            return first + (second - TailBase);
        }

        return Loaded.Value.Pairs.TryGetValue(((long)first << 32) | (uint)second, out int composed) ? composed : -1;
    }

    private static Tables Load()
    {
        var canonical = new Dictionary<int, int[]>();
        var compatible = new Dictionary<int, int[]>();
        var pairs = new Dictionary<long, int>();
        var classes = new Dictionary<int, byte>();
        using var packed = new MemoryStream(Convert.FromBase64String(Data));
        using var deflate = new DeflateStream(packed, CompressionMode.Decompress);
        using var reader = new StreamReader(deflate, Encoding.ASCII);
        while (reader.ReadLine() is { } line)
        {
            int sign = line.AsSpan().IndexOfAny("=-~:");
            int codePoint = Hex(line.AsSpan(0, sign));
            if (line[sign] == ':')
            {
                classes.Add(codePoint, (byte)Hex(line.AsSpan(sign + 1)));
                continue;
            }

            int[] parts = Array.ConvertAll(line[(sign + 1)..].Split(' '), part => Hex(part));
            (line[sign] == '~' ? compatible : canonical).Add(codePoint, parts);
            if (line[sign] == '=')
            {
                pairs.Add(((long)parts[0] << 32) | (uint)parts[1], codePoint);
            }
        }

        return new Tables(canonical.ToFrozenDictionary(), compatible.ToFrozenDictionary(), pairs.ToFrozenDictionary(), classes.ToFrozenDictionary());
    }

    private static int Hex(ReadOnlySpan<char> digits) => int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private sealed record Tables(
        FrozenDictionary<int, int[]> Canonical,
        FrozenDictionary<int, int[]> Compatible,
        FrozenDictionary<long, int> Pairs,
        FrozenDictionary<int, byte> Classes);
}
