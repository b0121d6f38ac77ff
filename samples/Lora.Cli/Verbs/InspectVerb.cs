using System.Globalization;
using Lora.Cli.Files;
using Samples;

namespace Lora.Cli.Verbs;

/// <summary>Says what is in a file or folder.</summary>
internal sealed class InspectVerb : Verb
{
    private const int LongestNote = 120;

    internal override string Name => "inspect";

    internal override string Summary => "says what is in an adapter, a model's folder, a safetensors or a GGUF file";

    internal override IReadOnlyList<string> Options => ["rows"];

    internal override string Usage => """
        usage: lora inspect PATH [--rows N]

          PATH      an adapter's folder, a model's folder, a .safetensors file, an index of several, or a GGUF file
          --rows N  how many tensors or layers are listed                            [50]

        Of an adapter each layer's rank and scale s are listed, and the norms of A, B and ΔW = s·B·A.
        """;

    internal override int Run(CommandLine line, Terminal terminal, CancellationToken cancellationToken)
    {
        if (line.Operands is not [string path]) throw new UsageException("One file or folder is needed.");
        int rows = line.Count("rows", 50, least: 1);
        using TensorFile file = TensorFile.Open(path);
        terminal.Line($"{path}: {file.Kind}");
        if (file.Notes.Count > 0) terminal.Table(["key", "value"], file.Notes.Select(note => (string[])[note.Key, Short(note.Value)]));
        if (file is AdapterTensors adapter)
        {
            IReadOnlyList<AdapterLayerRow> layers = AdapterLayerRow.Of(adapter);
            terminal.Table(["layer", " rank", " scale", " ‖A‖", " ‖B‖", " ‖ΔW‖"], layers.Take(rows).Select(layer => (string[])[layer.Path, $"{layer.Rank}", Text(layer.Scale), Text(layer.DownNorm), Text(layer.UpNorm), Text(layer.DeltaNorm)]));
            Rest(terminal, layers.Count, rows, "layers");
            foreach (string remark in adapter.Config.Remarks) terminal.Line($"note: {remark}");
        }
        else
        {
            terminal.Table(["tensor", "type", "shape", " bytes"], file.Rows.Take(rows).Select(row => (string[])[row.Name, row.Type, row.ShapeText, row.ByteCount.ToString("N0", CultureInfo.InvariantCulture)]));
            Rest(terminal, file.Rows.Count, rows, "tensors");
        }
        string types = string.Join(", ", file.Rows.GroupBy(row => row.Type).Select(group => $"{group.Count()} {group.Key}"));
        terminal.Line(string.Create(CultureInfo.InvariantCulture, $"{file.Rows.Count} tensors ({types}), {file.Rows.Sum(row => row.Count):N0} numbers, {file.Rows.Sum(row => row.ByteCount):N0} bytes."));
        return 0;
    }

    private static void Rest(Terminal terminal, int count, int shown, string what)
    {
        if (count > shown) terminal.Line($"and {count - shown} more {what} (--rows).");
    }

    private static string Short(string text)
    {
        string line = text.ReplaceLineEndings(" ");
        return line.Length <= LongestNote ? line : $"{line.AsSpan(0, LongestNote)}…";
    }

    private static string Text(double value) => value.ToString("G4", CultureInfo.InvariantCulture);
}
