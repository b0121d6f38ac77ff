using System.Buffers.Binary;
using System.Globalization;
using System.Security;
using System.Text;
using Samples;

namespace Images;

/// <summary>An SVG picture of pictures, each over what it was taken for.</summary>
internal static class Gallery
{
    private const int Columns = 10, Cell = 84, Shown = 64, Lines = 34;

    internal static void Save(string path, Pictures pictures, IReadOnlyList<string> labels, IReadOnlyList<int> found, int most)
    {
        // Mistakes first: they are what one wants to see.
        int[] which = [.. Enumerable.Range(0, found.Count).OrderBy(i => found[i] == pictures.Labels[i]).ThenBy(i => i).Take(most)];
        int height = 50 + (which.Length + Columns - 1) / Columns * (Shown + Lines);
        var svg = new StringBuilder();
        Add($"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Columns * Cell + 20} {height}" width="{Columns * Cell + 20}" height="{height}" font-family="Helvetica, Arial, sans-serif" font-size="11" fill="#333">""");
        Add($"""<rect width="100%" height="100%" fill="#fff"/>""");
        Add($"""<text x="20" y="26" font-size="16" font-weight="bold">Held-out pictures and what they were taken for; mistakes first, in orange</text>""");
        for (int i = 0; i < which.Length; i++)
        {
            int index = which[i], x = 20 + i % Columns * Cell, y = 44 + i / Columns * (Shown + Lines);
            bool right = found[index] == pictures.Labels[index];
            Add($"""<image x="{x}" y="{y}" width="{Shown}" height="{Shown}" href="data:image/bmp;base64,{Convert.ToBase64String(Bitmap(pictures[index]))}"/>""");
            Add($"""<text x="{x}" y="{y + Shown + 14}" fill="{(right ? "#333" : "#d1600f")}">{SecurityElement.Escape(labels[found[index]])}</text>""");
            if (!right) Add($"""<text x="{x}" y="{y + Shown + 26}" fill="#777">is {SecurityElement.Escape(labels[pictures.Labels[index]])}</text>""");
        }
        Add($"</svg>");
        OutputFolder.Write(path, svg.ToString());

        void Add(FormattableString line) => svg.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }

    // 24 bits a pixel, the lowest row first: the oldest picture format that every browser shows, and needs no compression.
    private static byte[] Bitmap(IReadOnlyList<float> pixels)
    {
        const int Header = 54, Size = Pictures.Size, Bytes = 3 * Size * Size;
        var file = new byte[Header + Bytes];
        file[0] = (byte)'B';
        file[1] = (byte)'M';
        foreach ((int place, int value) in new[] { (2, Header + Bytes), (10, Header), (14, 40), (18, Size), (22, Size), (26, 1 | 24 << 16), (34, Bytes) })
            BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(place), value);
        for (int row = 0; row < Size; row++)
        {
            for (int column = 0; column < Size; column++)
            {
                for (int channel = 0; channel < 3; channel++)
                    file[Header + (((Size - 1 - row) * Size) + column) * 3 + 2 - channel] = (byte)Math.Round(255 * pixels[(channel * Size + row) * Size + column]);
            }
        }
        return file;
    }
}
