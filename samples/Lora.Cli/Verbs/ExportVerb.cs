using Lora.Export.Gguf;
using Lora.Llm.Export;
using Samples;

namespace Lora.Cli.Verbs;

/// <summary>Writes GGUF files.</summary>
internal sealed class ExportVerb : Verb
{
    private static readonly GgufType[] _types = [GgufType.F32, GgufType.F16, GgufType.BF16, GgufType.Q80, GgufType.Q40];

    internal override string Name => "export";

    internal override string Summary => "writes a model or an adapter as a GGUF file for llama.cpp";

    internal override IReadOnlyList<string> Options => ["out", "type", "adapter", "base", "tokenizer", "name"];

    internal override string Usage => """
        usage: lora export MODEL [ADAPTER...] --out FILE.gguf [options]
               lora export --adapter ADAPTER --base MODEL --out FILE.gguf [options]

        The first form writes MODEL with the ADAPTERs inside its weights; the second the adapter alone, to be applied beside MODEL, of which config.json is needed.
        Models may be Llama, Mistral, Qwen2, Qwen3 and GPT-2.

          --out FILE         the file to write or replace
          --type TYPE        F32, F16, BF16, Q8_0, Q4_0; an adapter's: F32, F16, BF16, Q8_0     [the model's own; an adapter's F32]
          --tokenizer yes|no whether a model's tokenizer is written                             [yes]
          --name NAME        the name inside the file                                           [the folder's]
        """;

    internal override int Run(CommandLine line, Terminal terminal, CancellationToken cancellationToken)
    {
        string file = Required(line, "out");
        string? name = line.Has("name") ? line.Text("name", "") : null;
        GgufType? type = TypeOf(line);
        RequireGguf(file);
        GgufExportResult result = terminal.Watch<GgufProgress, GgufExportResult>(step => (double)step.TensorsDone / step.Tensors, step => step.Tensor, progress => line.Has("adapter")
            ? ExportAdapter(line, file, new GgufAdapterOptions { Name = name, Type = type ?? GgufType.F32 }, progress, cancellationToken)
            : ExportModel(line, file, new GgufModelOptions { Name = name, Type = type }, progress, cancellationToken));
        foreach (string remark in result.Remarks) terminal.Line($"note: {remark}");
        string types = string.Join(", ", result.Tensors.GroupBy(tensor => tensor.Type).Select(group => $"{group.Count()} {group.Key.ToFileName()}"));
        terminal.Line($"{result.Tensors.Count} tensors ({types}){(result.Merged.Count > 0 ? $", {result.Merged.Count} changed by adapters" : "")}, {new FileInfo(file).Length:N0} bytes in {file}.");
        return 0;
    }

    private static GgufExportResult ExportAdapter(CommandLine line, string file, GgufAdapterOptions options, IProgress<GgufProgress> progress, CancellationToken cancellationToken)
    {
        if (line.Operands.Count > 0) throw new UsageException($"'{line.Operands[0]}' is given beside --adapter, whose model is --base.");
        if (line.Has("tokenizer")) throw new UsageException("--tokenizer is given, but an adapter has no tokenizer.");
        return GgufAdapterExport.Run(line.Text("adapter", ""), Required(line, "base"), file, options, progress, cancellationToken);
    }

    private static GgufExportResult ExportModel(CommandLine line, string file, GgufModelOptions options, IProgress<GgufProgress> progress, CancellationToken cancellationToken)
    {
        if (line.Has("base")) throw new UsageException("--base is given without --adapter.");
        if (line.Operands.Count == 0) throw new UsageException("A model is needed, or --adapter and --base.");
        options = options with { Adapters = [.. line.Operands.Skip(1)], IncludeTokenizer = line.Choice("tokenizer", Answer.Yes) == Answer.Yes };
        return GgufModelExport.Run(line.Operands[0], file, options, progress, cancellationToken);
    }

    // An earlier result is replaced, but no file of another kind: --out may name the model's own by mistake.
    private static void RequireGguf(string file)
    {
        if (!File.Exists(file)) return;
        using FileStream stream = File.OpenRead(file);
        Span<byte> mark = stackalloc byte[4];
        int read = stream.ReadAtLeast(mark, mark.Length, throwOnEndOfStream: false);
        if (read > 0 && !mark[..read].SequenceEqual("GGUF"u8)) throw new IOException($"'{file}' exists and is no GGUF file: give another name, or delete it first.");
    }

    private static GgufType? TypeOf(CommandLine line)
    {
        if (!line.Has("type")) return null;
        string text = line.Text("type", "");
        int index = Array.FindIndex(_types, type => type.ToFileName().Equals(text, StringComparison.OrdinalIgnoreCase));
        return index >= 0 ? _types[index] : throw new UsageException($"--type must be one of {string.Join(", ", _types.Select(type => type.ToFileName()))}, but is '{text}'.");
    }

    private enum Answer
    {
        Yes,
        No,
    }
}
