using System.Globalization;
using System.Security;
using System.Text;
using Lora.Targeting;

namespace Lora.Inspection;

/// <summary>Draws an adapter as a table of coloured cells in SVG: blocks downwards, layers within a block across.</summary>
internal sealed class HeatMap
{
    private const int CellWidth = 66, CellHeight = 24, FontSize = 11, CharacterWidth = 7, Margin = 16, LegendHeight = 56, LegendSteps = 5, BarWidth = 240;

    private readonly AdapterInspection _inspection;
    private readonly InspectionMeasure _measure;
    private readonly List<string> _rows = [], _columns = [];
    private readonly List<(string Row, string Column, LayerInspection Layer)> _cells = [];
    private readonly double _largest;
    private readonly StringBuilder _svg = new();

    internal HeatMap(AdapterInspection inspection, InspectionMeasure measure)
    {
        (_inspection, _measure) = (inspection, measure);
        foreach (LayerInspection layer in inspection.Layers)
        {
            BlockPath path = BlockPath.Of(layer.Path);
            string column = layer.Part is null ? path.Kind : $"{path.Kind} {layer.Part}";
            if (!_rows.Contains(path.Block)) _rows.Add(path.Block);
            if (!_columns.Contains(column)) _columns.Add(column);
            _cells.Add((path.Block, column, layer));
        }
        _largest = inspection.Layers.Select(ValueOf).Where(double.IsFinite).DefaultIfEmpty(0).Max();
    }

    internal string Draw()
    {
        string title = $"Adapter {_inspection.Adapter}: {MeasureText}";
        int left = Margin + (CharacterWidth * _rows.Select(RowText).Append("").Max(text => text.Length)) + 8;
        // Column names lean by 45°.
        int lean = (int)Math.Ceiling(0.71 * CharacterWidth * _columns.Append("").Max(text => text.Length));
        int top = Margin + 24 + lean + 12;
        int width = Math.Max(Math.Max(left + (_columns.Count * CellWidth) + lean, (2 * Margin) + BarWidth), (2 * Margin) + (CharacterWidth * title.Length)) + Margin;
        int height = top + (_rows.Count * CellHeight) + LegendHeight + Margin;
        Line($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"{FontSize}\">");
        Line($"<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>");
        Line($"<text x=\"{Margin}\" y=\"{Margin + 8}\" font-size=\"14\" font-weight=\"bold\">{Escaped(title)}</text>");
        for (int i = 0; i < _columns.Count; i++)
        {
            int x = left + (i * CellWidth) + (CellWidth / 2);
            Line($"<text x=\"{x}\" y=\"{top - 8}\" transform=\"rotate(-45 {x} {top - 8})\">{Escaped(_columns[i])}</text>");
        }
        for (int i = 0; i < _rows.Count; i++)
            Line($"<text x=\"{left - 8}\" y=\"{top + (i * CellHeight) + 16}\" text-anchor=\"end\">{Escaped(RowText(_rows[i]))}</text>");
        foreach ((string row, string column, LayerInspection layer) in _cells) DrawCell(left + (_columns.IndexOf(column) * CellWidth), top + (_rows.IndexOf(row) * CellHeight), layer);
        DrawLegend(top + (_rows.Count * CellHeight) + Margin);
        Line($"</svg>");
        return _svg.ToString();
    }

    private void DrawCell(int x, int y, LayerInspection layer)
    {
        double value = ValueOf(layer), share = ShareOf(value);
        string name = layer.Part is null ? layer.Path : $"{layer.Path} {layer.Part}";
        Line($"<g><title>{Escaped(name)} ({Escaped(layer.Kind)}): ‖ΔW‖ {Number(layer.DeltaNorm)}, ‖W‖ {Number(layer.WeightNorm)}, ratio {Number(layer.RelativeNorm)}, spectral norm {Number(layer.SpectralNorm)}, effective rank {Number(layer.EffectiveRank)}, {layer.SignificantRank} of rank {layer.Rank} significant, scale {Number(layer.Scale)}</title>");
        Line($"<rect x=\"{x}\" y=\"{y}\" width=\"{CellWidth - 2}\" height=\"{CellHeight - 2}\" fill=\"{ColorRamp.At(share)}\"/>");
        Line($"<text x=\"{x + (CellWidth / 2) - 1}\" y=\"{y + 15}\" text-anchor=\"middle\" fill=\"{ColorRamp.TextOn(share)}\">{Number(value)}</text></g>");
    }

    private void DrawLegend(int y)
    {
        const int Step = BarWidth / (LegendSteps - 1);
        for (int i = 0; i < LegendSteps - 1; i++)
            for (int j = 0; j < Step; j += 4) Line($"<rect x=\"{Margin + (i * Step) + j}\" y=\"{y}\" width=\"4\" height=\"12\" fill=\"{ColorRamp.At(((i * Step) + j + 2.0) / BarWidth)}\"/>");
        for (int i = 0; i < LegendSteps; i++)
            Line($"<text x=\"{Margin + (i * Step)}\" y=\"{y + 26}\" text-anchor=\"{(i == 0 ? "start" : "middle")}\">{Number(_largest * i / (LegendSteps - 1))}</text>");
        Line($"<text x=\"{Margin + BarWidth + 28}\" y=\"{y + 10}\">{Escaped(MeasureText)}</text>");
    }

    private string MeasureText => _measure switch
    {
        InspectionMeasure.RelativeNorm => "‖ΔW‖ / ‖W‖",
        InspectionMeasure.DeltaNorm => "‖ΔW‖",
        InspectionMeasure.SpectralNorm => "spectral norm of ΔW",
        _ => "effective rank of ΔW",
    };

    private double ValueOf(LayerInspection layer) => _measure switch
    {
        InspectionMeasure.RelativeNorm => layer.RelativeNorm,
        InspectionMeasure.DeltaNorm => layer.DeltaNorm,
        InspectionMeasure.SpectralNorm => layer.SpectralNorm,
        InspectionMeasure.EffectiveRank => layer.EffectiveRank,
        _ => throw new InvalidOperationException($"There is no measure {_measure}."),
    };

    private double ShareOf(double value) => _largest > 0 ? Math.Min(1, value / _largest) : value > 0 ? 1 : 0;

    private static string RowText(string block) => block.Length > 0 ? block : "–";

    private static string Number(double value) => value.ToString("G3", CultureInfo.InvariantCulture);

    private static string Escaped(string text) => SecurityElement.Escape(text);

    private void Line(FormattableString text) => _svg.Append(text.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
