namespace Images;

/// <summary>A shape: which points of the square from −1 to 1 are inside.</summary>
internal sealed record Shape(string Name, Func<double, double, bool> Contains)
{
    /// <summary>What the base knows.</summary>
    internal static readonly Shape[] Known =
    [
        new("disc", (x, y) => x * x + y * y < 0.7),
        new("square", (x, y) => Math.Max(Math.Abs(x), Math.Abs(y)) < 0.75),
        new("triangle", (x, y) => y < 0.7 && y > 2 * Math.Abs(x) - 0.8),
        new("cross", (x, y) => Math.Min(Math.Abs(x), Math.Abs(y)) < 0.22 && Math.Max(Math.Abs(x), Math.Abs(y)) < 0.85),
        new("ring", (x, y) => x * x + y * y is > 0.3 and < 0.75),
        new("stripes", (x, y) => Math.Max(Math.Abs(x), Math.Abs(y)) < 0.85 && Math.Sin(11 * y) > 0),
    ];

    /// <summary>What the lesson teaches.</summary>
    internal static readonly Shape[] New =
    [
        new("star", (x, y) => Math.Sqrt(x * x + y * y) < 0.55 + 0.33 * Math.Cos(5 * Math.Atan2(x, y))),
        new("heart", (x, y) => Heart(1.25 * x, 1.25 * (0.1 - y))),
        new("moon", (x, y) => x * x + y * y < 0.75 && (x - 0.42) * (x - 0.42) + y * y > 0.5),
        new("arrow", (x, y) => (Math.Abs(y) < 0.18 && x is > -0.85 and < 0.2) || (x is > 0.1 and < 0.85 && Math.Abs(y) < 0.85 - x)),
        new("hourglass", (x, y) => Math.Abs(y) < 0.8 && Math.Abs(x) < 0.12 + 0.8 * Math.Abs(y)),
    ];

    private static bool Heart(double x, double y)
    {
        double a = x * x + y * y - 0.55;
        return a * a * a < x * x * y * y * y;
    }
}
