using System.Globalization;
using Lora.Export;
using Samples;

namespace Lora.Cli.Verbs;

/// <summary>Merges adapters into a folder on disk.</summary>
internal sealed class MergeVerb : Verb
{
    private const long Mebi = 1 << 20;

    internal override string Name => "merge";

    internal override string Summary => "merges adapters into a model's folder, tensor by tensor";

    internal override IReadOnlyList<string> Options => ["out", "shard"];

    internal override string Usage => """
        usage: lora merge MODEL ADAPTER... --out FOLDER [options]

        Writes MODEL with the ADAPTERs inside its weights, in the form of Hugging Face. The model need not fit into memory. A run that was cut short goes on where it was.

          MODEL         a folder with config.json and model.safetensors, or several files and their index
          ADAPTER       a folder with adapter_config.json and adapter_model.safetensors
          --out FOLDER  the new folder
          --shard MIB   the size of a file of tensors, in MiB                           [as the model's]
        """;

    internal override int Run(CommandLine line, Terminal terminal, CancellationToken cancellationToken)
    {
        if (line.Operands.Count < 2) throw new UsageException("A model and at least one adapter are needed.");
        string folder = Required(line, "out");
        var options = new CheckpointMergeOptions { MaxShardBytes = line.Has("shard") ? line.Count("shard", 0, least: 1) * Mebi : null };
        CheckpointMergeResult result = terminal.Watch<CheckpointMergeProgress, CheckpointMergeResult>(
            step => step.Bytes == 0 ? 1 : (double)step.BytesDone / step.Bytes, step => step.Tensor,
            progress => CheckpointMerge.Run(line.Operands[0], line.Operands.Skip(1), folder, options, progress, cancellationToken));
        terminal.Table(["tensor", " change", " rounding"], result.Tensors.Select(tensor => (string[])[tensor.Name, tensor.RelativeChange.ToString("G3", CultureInfo.InvariantCulture), tensor.LargestRounding.ToString("G3", CultureInfo.InvariantCulture)]));
        terminal.Line($"{result.Tensors.Count} tensors changed, in {result.Files.Count} files of {result.Folder}{(result.ReusedFiles > 0 ? $", {result.ReusedFiles} of which an earlier run had finished" : "")}.");
        if (result.UntiesHead) terminal.Line("The output head has a weight of its own now.");
        if (result.LeftOut.Count > 0) terminal.Line($"Left out: {string.Join(", ", result.LeftOut)}.");
        return 0;
    }
}
