using System.Globalization;
using System.Text;
using Lora.Llm;

namespace Samples;

/// <summary>Draws the losses of a training as an SVG picture.</summary>
internal sealed class LossCurve
{
    private const double Width = 760, Height = 420, Left = 64, Right = 24, Top = 76, Bottom = 52;
    private const double Smoothing = 0.9;

    private readonly StringBuilder _svg = new();
    private readonly double _lastStep, _top, _tick;
    private readonly string _unit;

    private LossCurve(TrainingResult result, string unit)
    {
        _unit = unit;
        double highest = Math.Max(result.Steps.Max(step => step.Loss), Math.Max(result.EvaluationLossBefore ?? 0, result.EvaluationLossAfter ?? 0));
        _lastStep = result.Steps.Count;
        _tick = Nice(highest / 5);
        _top = _tick * Math.Ceiling(highest / _tick);
    }

    internal static void Save(string path, TrainingResult result, string title, string unit = "token")
    {
        var curve = new LossCurve(result, unit);
        curve.Draw(result, title);
        OutputFolder.Write(path, curve._svg.ToString());
    }

    private void Draw(TrainingResult result, string title)
    {
        Add($"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" width="{Width}" height="{Height}" font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#333">""");
        Add($"""<rect width="100%" height="100%" fill="#fff"/>""");
        Add($"""<text x="{Left}" y="26" font-size="16" font-weight="bold">{System.Security.SecurityElement.Escape(title)}</text>""");
        Axes();

        List<(double, double)> raw = [.. result.Steps.Select(step => ((double)step.Step, step.Loss))], smooth = [];
        double average = 0, weight = 0;
        foreach ((double step, double loss) in raw)
        {
            average = Smoothing * average + (1 - Smoothing) * loss;
            weight = Smoothing * weight + 1 - Smoothing;
            smooth.Add((step, average / weight));
        }
        Line(raw, "#a9c7e8", 1);
        Line(smooth, "#1f66b0", 2.2);
        List<(double, double)> held = [.. result.Steps.Where(step => step.EvaluationLoss is not null).Select(step => ((double)step.Step, step.EvaluationLoss!.Value))];
        if (result.EvaluationLossBefore is double before) held.Insert(0, (0, before));
        Line(held, "#d1600f", 2);
        foreach ((double step, double loss) in held) Add($"""<circle cx="{X(step)}" cy="{Y(loss)}" r="4" fill="#d1600f"/>""");

        Legend(0, "#a9c7e8", "training, each step");
        Legend(1, "#1f66b0", "training, smoothed");
        Legend(2, "#d1600f", "held out");
        Add($"</svg>");
    }

    private void Axes()
    {
        double right = Width - Right, bottom = Height - Bottom;
        for (double loss = 0; loss <= _top + _tick / 2; loss += _tick)
        {
            Add($"""<line x1="{Left}" y1="{Y(loss)}" x2="{right}" y2="{Y(loss)}" stroke="#e6e6e6"/>""");
            Add($"""<text x="{Left - 8}" y="{Y(loss) + 4.5}" text-anchor="end">{Math.Round(loss, 6)}</text>""");
        }
        double every = Math.Max(1, Nice(_lastStep / 8));
        for (double step = 0; step <= _lastStep; step += every)
        {
            Add($"""<line x1="{X(step)}" y1="{bottom}" x2="{X(step)}" y2="{bottom + 5}" stroke="#666"/>""");
            Add($"""<text x="{X(step)}" y="{bottom + 20}" text-anchor="middle">{step}</text>""");
        }
        Add($"""<path d="M{Left},{Top} V{bottom} H{right}" fill="none" stroke="#666"/>""");
        Add($"""<text x="{(Left + right) / 2}" y="{Height - 12}" text-anchor="middle">optimizer step</text>""");
        Add($"""<text transform="translate(18 {(Top + bottom) / 2}) rotate(-90)" text-anchor="middle">loss (nats per {_unit})</text>""");
    }

    private void Legend(int place, string colour, string text)
    {
        double x = Left + 180 * place;
        const double y = 50;
        Add($"""<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" stroke="{colour}" stroke-width="3"/>""");
        Add($"""<text x="{x + 34}" y="{y + 4.5}">{text}</text>""");
    }

    private void Line(IEnumerable<(double Step, double Loss)> points, string colour, double width)
    {
        string path = string.Join(' ', points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{X(point.Step)},{Y(point.Loss)}")));
        Add($"""<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>""");
    }

    private double X(double step) => Math.Round(Left + (Width - Left - Right) * step / _lastStep, 2);

    private double Y(double loss) => Math.Round(Height - Bottom - (Height - Top - Bottom) * loss / _top, 2);

    // The next of 1, 2 and 5 times a power of ten.
    private static double Nice(double value)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(value)));
        return power * (value / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
    }

    private void Add(FormattableString line) => _svg.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
