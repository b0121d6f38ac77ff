using System.Globalization;
using Lora.Cli.Files;
using Samples;
using static TorchSharp.torch;

namespace Lora.Cli.Verbs;

/// <summary>Compares two files or folders.</summary>
internal sealed class DiffVerb : Verb
{
    private const int PieceBytes = 1 << 20;

    internal override string Name => "diff";

    internal override string Summary => "compares two adapters, models or files: names, shapes, types, numbers";

    internal override IReadOnlyList<string> Options => ["tolerance"];

    internal override string Usage => """
        usage: lora diff FIRST SECOND [--tolerance X]

          FIRST, SECOND  adapters' folders, models' folders, .safetensors or GGUF files
          --tolerance X  the largest absolute difference of numbers that does not count     [0]

        Exit codes: 0 they are the same, 1 they differ, 2 wrong arguments, or one of them cannot be read.
        """;

    internal override int Run(CommandLine line, Terminal terminal, CancellationToken cancellationToken)
    {
        if (line.Operands is not [string first, string second]) throw new UsageException("Two files or folders are needed.");
        double tolerance = line.Number("tolerance", 0, least: 0);
        using TensorFile a = TensorFile.Open(first), b = TensorFile.Open(second);
        List<string[]> differences = [.. Notes(a, b), .. Tensors(a, b, tolerance, cancellationToken)];
        if (differences.Count == 0)
        {
            terminal.Line($"The same: {a.Rows.Count} tensors.");
            return 0;
        }
        terminal.Table(["what", "difference", first, second], differences);
        terminal.Line($"{differences.Count} differences.");
        return 1;
    }

    private static IEnumerable<string[]> Notes(TensorFile a, TensorFile b)
    {
        // Lists are shown by their beginnings, but compared whole.
        bool AreSame(string key) => a is GgufTensors x && b is GgufTensors y
            ? x.Metadata[key].GetType() == y.Metadata[key].GetType() && (x.Metadata[key] is Array list ? list.Cast<object>().SequenceEqual(((Array)y.Metadata[key]).Cast<object>()) : x.Metadata[key].Equals(y.Metadata[key]))
            : a.Notes[key] == b.Notes[key];
        IReadOnlyDictionary<string, string> first = a.Notes, second = b.Notes;
        foreach (string key in first.Keys.Union(second.Keys))
        {
            if (!second.TryGetValue(key, out string? right)) yield return [key, "only in the first", Short(first[key]), ""];
            else if (!first.TryGetValue(key, out string? left)) yield return [key, "only in the second", "", Short(right)];
            else if (!AreSame(key)) yield return [key, "value", Short(left), Short(right)];
        }
    }

    private static IEnumerable<string[]> Tensors(TensorFile a, TensorFile b, double tolerance, CancellationToken cancellationToken)
    {
        Dictionary<string, TensorRow> second = b.Rows.ToDictionary(row => row.Name);
        HashSet<string> first = [.. a.Rows.Select(row => row.Name)];
        foreach (TensorRow row in a.Rows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!second.TryGetValue(row.Name, out TensorRow? other)) yield return [row.Name, "only in the first", $"{row.Type} {row.ShapeText}", ""];
            else if (!row.Shape.SequenceEqual(other.Shape)) yield return [row.Name, "shape", row.ShapeText, other.ShapeText];
            else
            {
                if (row.Type != other.Type) yield return [row.Name, "type", row.Type, other.Type];
                if (Difference(a, b, row, other, tolerance) is string difference) yield return [row.Name, difference, "", ""];
            }
        }
        foreach (TensorRow row in b.Rows.Where(row => !first.Contains(row.Name))) yield return [row.Name, "only in the second", "", $"{row.Type} {row.ShapeText}"];
    }

    private static string? Difference(TensorFile a, TensorFile b, TensorRow row, TensorRow other, double tolerance)
    {
        if (row.Type == other.Type && AreSame(a, b, row)) return null;
        using var scope = NewDisposeScope();
        if (a.Read(row.Name) is not Tensor left || b.Read(row.Name) is not Tensor right) return row.Type == other.Type ? "bytes" : null;
        if (row.Count == 0) return null;
        double largest = left.sub(right).abs().max().item<double>();
        // A NaN is beyond every tolerance.
        return largest <= tolerance ? null : $"numbers, by up to {largest.ToString("G4", CultureInfo.InvariantCulture)}";
    }

    private static bool AreSame(TensorFile a, TensorFile b, TensorRow row)
    {
        for (long start = 0; start < row.ByteCount; start += PieceBytes)
        {
            int count = (int)Math.Min(PieceBytes, row.ByteCount - start);
            if (!a.Bytes(row.Name, start, count).SequenceEqual(b.Bytes(row.Name, start, count))) return false;
        }
        return true;
    }

    private static string Short(string text) => text.Length <= 60 ? text.ReplaceLineEndings(" ") : $"{text.ReplaceLineEndings(" ").AsSpan(0, 60)}…";
}
