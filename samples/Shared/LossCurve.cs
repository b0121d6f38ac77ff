using System.Globalization;
using System.Text;
using Lora.Llm;

namespace Samples;

/// <summary>Draws the losses of a training, or other numbers of its steps, as an SVG picture.</summary>
internal sealed class LossCurve
{
    private const double Width = 760, Height = 420, Left = 64, Right = 24, Top = 76, Bottom = 52;
    private const double Smoothing = 0.9;

    private readonly StringBuilder _svg = new();
    private readonly string _axis;
    private readonly double _lastStep, _top, _bottom, _tick;

    private LossCurve(string axis, List<(double Step, double Value)> raw, List<(double Step, double Value)> held)
    {
        double highest = Math.Max(0, raw.Concat(held).Max(point => point.Value)), lowest = Math.Min(0, raw.Concat(held).Min(point => point.Value));
        _axis = axis;
        _lastStep = raw[^1].Step;
        _tick = Nice((highest - lowest) / 5);
        _top = _tick * Math.Ceiling(highest / _tick);
        _bottom = _tick * Math.Floor(lowest / _tick);
    }

    internal static void Save(string path, TrainingResult result, string title, string axis = "loss (nats per token)")
    {
        List<(double, double)> held = [.. result.Steps.Where(step => step.EvaluationLoss is not null).Select(step => ((double)step.Step, step.EvaluationLoss!.Value))];
        if (result.EvaluationLossBefore is double before) held.Insert(0, (0, before));
        Save(path, title, axis, [.. result.Steps.Select(step => ((double)step.Step, step.Loss))], held);
    }

    /// <summary>Draws one of the objective's own numbers.</summary>
    internal static void SaveMetric(string path, TrainingResult result, string title, string metric)
    {
        List<(double, double)> held = [.. result.Steps.Where(step => step.EvaluationMetrics.ContainsKey(metric)).Select(step => ((double)step.Step, step.EvaluationMetrics[metric]))];
        if (result.EvaluationMetricsBefore.TryGetValue(metric, out double before)) held.Insert(0, (0, before));
        Save(path, title, metric, [.. result.Steps.Select(step => ((double)step.Step, step.Metrics[metric]))], held);
    }

    private static void Save(string path, string title, string axis, List<(double Step, double Value)> raw, List<(double Step, double Value)> held)
    {
        var curve = new LossCurve(axis, raw, held);
        curve.Draw(title, raw, held);
        OutputFolder.Write(path, curve._svg.ToString());
    }

    private void Draw(string title, List<(double Step, double Value)> raw, List<(double Step, double Value)> held)
    {
        Add($"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" width="{Width}" height="{Height}" font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#333">""");
        Add($"""<rect width="100%" height="100%" fill="#fff"/>""");
        Add($"""<text x="{Left}" y="26" font-size="16" font-weight="bold">{System.Security.SecurityElement.Escape(title)}</text>""");
        Axes();

        List<(double, double)> smooth = [];
        double average = 0, weight = 0;
        foreach ((double step, double loss) in raw)
        {
            average = Smoothing * average + (1 - Smoothing) * loss;
            weight = Smoothing * weight + 1 - Smoothing;
            smooth.Add((step, average / weight));
        }
        Line(raw, "#a9c7e8", 1);
        Line(smooth, "#1f66b0", 2.2);
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
        for (double loss = _bottom; loss <= _top + _tick / 2; loss += _tick)
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
        Add($"""<text transform="translate(18 {(Top + bottom) / 2}) rotate(-90)" text-anchor="middle">{_axis}</text>""");
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

    private double Y(double loss) => Math.Round(Height - Bottom - (Height - Top - Bottom) * (loss - _bottom) / (_top - _bottom), 2);

    // The next of 1, 2 and 5 times a power of ten.
    private static double Nice(double value)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(value)));
        return power * (value / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
    }

    private void Add(FormattableString line) => _svg.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
