using System.Globalization;

namespace Samples;

/// <summary>The arguments of a program: <c>--name value</c> or <c>--name=value</c>, each at most once, and what it works on where it takes that.</summary>
internal sealed class CommandLine
{
    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);

    /// <param name="arguments">The arguments.</param>
    /// <param name="names">The names of the options.</param>
    /// <param name="takesOperands">Whether there may be arguments that are no options. Default: false.</param>
    /// <exception cref="UsageException">An argument is unknown, comes twice or lacks its value.</exception>
    internal CommandLine(IReadOnlyList<string> arguments, IReadOnlyList<string> names, bool takesOperands = false)
    {
        var operands = new List<string>();
        Operands = operands;
        for (int i = 0; i < arguments.Count; i++)
        {
            if (arguments[i] is "--help" or "-h" or "-?")
            {
                AsksForHelp = true;
                continue;
            }
            if (takesOperands && !arguments[i].StartsWith('-'))
            {
                operands.Add(arguments[i]);
                continue;
            }
            string[] parts = arguments[i].Split('=', 2);
            if (!parts[0].StartsWith("--", StringComparison.Ordinal)) throw new UsageException($"'{arguments[i]}' is no option: options begin with --.");
            string name = parts[0][2..];
            if (!names.Contains(name)) throw new UsageException($"There is no option --{name}{Near(name, names)}");
            if (parts.Length == 1 && (i + 1 == arguments.Count || arguments[i + 1].StartsWith("--", StringComparison.Ordinal))) throw new UsageException($"--{name} lacks its value.");
            if (!_values.TryAdd(name, parts.Length == 2 ? parts[1] : arguments[++i])) throw new UsageException($"--{name} is given twice.");
        }
    }

    /// <summary>The arguments that are no options.</summary>
    internal IReadOnlyList<string> Operands { get; }

    /// <summary>Whether <c>--help</c> is among the arguments.</summary>
    internal bool AsksForHelp { get; }

    internal bool Has(string name) => _values.ContainsKey(name);

    internal string Text(string name, string otherwise) => _values.GetValueOrDefault(name, otherwise);

    internal int Count(string name, int otherwise, int least)
    {
        if (!_values.TryGetValue(name, out string? text)) return otherwise;
        return int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out int value) && value >= least
            ? value
            : throw new UsageException($"--{name} must be a whole number of at least {least}, but is '{text}'.");
    }

    internal double Number(string name, double otherwise, double least = double.NegativeInfinity, double most = double.PositiveInfinity)
    {
        if (!_values.TryGetValue(name, out string? text)) return otherwise;
        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value) && value >= least && value <= most) return value;
        string range = double.IsInfinity(least) ? "" : double.IsInfinity(most) ? string.Create(CultureInfo.InvariantCulture, $" of at least {least}") : string.Create(CultureInfo.InvariantCulture, $" from {least} to {most}");
        throw new UsageException($"--{name} must be a number{range}, but is '{text}'.");
    }

    internal T Choice<T>(string name, T otherwise)
        where T : struct, Enum
    {
        if (!_values.TryGetValue(name, out string? text)) return otherwise;
        return Array.Exists(Enum.GetNames<T>(), known => known.Equals(text, StringComparison.OrdinalIgnoreCase))
            ? Enum.Parse<T>(text, ignoreCase: true)
            : throw new UsageException($"--{name} must be one of {string.Join(", ", Enum.GetNames<T>().Select(known => known.ToLowerInvariant()))}, but is '{text}'.");
    }

    private static string Near(string name, IReadOnlyList<string> names)
    {
        string[] near = [.. names.Where(known => name.Length > 0 && (known.StartsWith(name, StringComparison.Ordinal) || name.StartsWith(known, StringComparison.Ordinal)))];
        return near.Length > 0 ? $"; is --{string.Join(" or --", near)} meant?" : ".";
    }
}
