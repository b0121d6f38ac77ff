using System.Globalization;
using System.Security;
using System.Text;

namespace Samples;

/// <summary>How often each class was taken for which, as an SVG picture.</summary>
internal sealed class ConfusionMatrix
{
    private const double Cell = 64, Left = 130, Top = 92;

    private readonly IReadOnlyList<string> _labels;
    private readonly int[,] _counts;

    internal ConfusionMatrix(IReadOnlyList<string> labels, IReadOnlyList<int> wanted, IReadOnlyList<int> found)
    {
        _labels = labels;
        _counts = new int[labels.Count, labels.Count];
        for (int i = 0; i < wanted.Count; i++) _counts[wanted[i], found[i]]++;
    }

    internal int Right => Enumerable.Range(0, _labels.Count).Sum(label => _counts[label, label]);

    internal int All => _counts.Cast<int>().Sum();

    /// <summary>The share of right answers, in percent.</summary>
    internal string Share => string.Create(CultureInfo.InvariantCulture, $"{100.0 * Right / All:F1} %");

    internal void Save(string path, string title)
    {
        double width = Math.Max(Left + _labels.Count * Cell + 30, 560), height = Top + _labels.Count * Cell + 50;
        var svg = new StringBuilder();
        Add($"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#333">""");
        Add($"""<rect width="100%" height="100%" fill="#fff"/>""");
        Add($"""<text x="20" y="26" font-size="16" font-weight="bold">{SecurityElement.Escape(title)}</text>""");
        Add($"""<text x="20" y="50">{Right} of {All} right ({Share}). Rows: what it is; columns: what it was taken for.</text>""");
        for (int row = 0; row < _labels.Count; row++)
        {
            double y = Top + row * Cell;
            Add($"""<text x="{Left - 10}" y="{y + Cell / 2 + 4}" text-anchor="end">{SecurityElement.Escape(_labels[row])}</text>""");
            Add($"""<text x="{Left + row * Cell + Cell / 2}" y="{Top - 10}" text-anchor="middle">{SecurityElement.Escape(_labels[row])}</text>""");
            int most = Math.Max(1, Enumerable.Range(0, _labels.Count).Sum(column => _counts[row, column]));
            for (int column = 0; column < _labels.Count; column++)
            {
                double share = (double)_counts[row, column] / most, x = Left + column * Cell;
                string colour = column == row ? "31,102,176" : "209,96,15", ink = share > 0.55 ? "#fff" : "#333";
                Add($"""<rect x="{x}" y="{y}" width="{Cell - 2}" height="{Cell - 2}" fill="rgba({colour},{Math.Round(share, 3)})" stroke="#ccc"/>""");
                Add($"""<text x="{x + Cell / 2}" y="{y + Cell / 2 + 4}" text-anchor="middle" fill="{ink}">{_counts[row, column]}</text>""");
            }
        }
        Add($"</svg>");
        OutputFolder.Write(path, svg.ToString());

        void Add(FormattableString line) => svg.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }
}
