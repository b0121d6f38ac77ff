using Lora.Conversion;
using Lora.Serialization;
using Samples;
using static TorchSharp.torch;

namespace Lora.Cli.Verbs;

/// <summary>Rewrites an adapter in another form or type.</summary>
internal sealed class ConvertVerb : Verb
{
    private static readonly string[] _weights = ["adapter_model.safetensors", "adapters.safetensors"];

    internal override string Name => "convert";

    internal override string Summary => "rewrites an adapter in another form, convention of scale, or type";

    internal override IReadOnlyList<string> Options => ["out", "to", "dtype", "alpha"];

    internal override string Usage => """
        usage: lora convert ADAPTER --out FOLDER --to FORM [options]
               lora convert ADAPTER --out FOLDER --dtype TYPE

          --to FORM     mlx: mlx-lm's files from PEFT's              peft: PEFT's files from mlx-lm's
                        plain: s = alpha / r                         rslora: s = alpha / sqrt(r)
                        folded: the scale inside B, so that it is 1  unfolded: the way back, to the scale of --alpha
          --alpha A     the alpha of --to unfolded
          --dtype TYPE  F32, F16 or BF16, into which each number is rounded once
          --out FOLDER  the new folder
        """;

    internal override int Run(CommandLine line, Terminal terminal, CancellationToken cancellationToken)
    {
        if (line.Operands is not [string source]) throw new UsageException("One adapter is needed.");
        if (!line.Has("to") && !line.Has("dtype")) throw new UsageException("--to or --dtype is needed.");
        string destination = Required(line, "out");
        Form form = line.Choice("to", Form.Same);
        if (line.Has("alpha") != (form == Form.Unfolded)) throw new UsageException(form == Form.Unfolded ? "--alpha is needed for --to unfolded." : "--alpha goes with --to unfolded alone.");
        ScalarType? type = line.Has("dtype") ? TypeOf(line.Text("dtype", "")) : null;
        RequireNew(destination);
        // It appears under its name when both steps are done.
        string partial = Path.TrimEndingDirectorySeparator(Path.GetFullPath(destination)) + ".partial";
        if (Directory.Exists(partial)) throw new IOException($"'{partial}' exists, which an earlier run may have left: delete it first.");
        try
        {
            Convert(source, partial, form, line);
            if (type is ScalarType wanted) Retype(partial, wanted);
            if (Directory.Exists(destination)) Directory.Delete(destination); // It is empty.
            Directory.Move(partial, destination);
        }
        finally
        {
            if (Directory.Exists(partial)) Directory.Delete(partial, recursive: true);
        }
        terminal.Line($"Wrote {destination}.");
        return 0;
    }

    private static void Convert(string source, string destination, Form form, CommandLine line)
    {
        if (!Directory.Exists(source)) throw new DirectoryNotFoundException($"There is no adapter folder '{source}'.");
        switch (form)
        {
            case Form.Mlx: MlxAdapter.FromPeft(source, destination); break;
            case Form.Peft: MlxAdapter.ToPeft(source, destination); break;
            case Form.Plain: AdapterScaling.ToPlain(source, destination); break;
            case Form.RsLora: AdapterScaling.ToRankStabilized(source, destination); break;
            case Form.Folded: AdapterScaling.Fold(source, destination); break;
            case Form.Unfolded: AdapterScaling.Unfold(source, destination, line.Number("alpha", 1)); break;
            default: Copy(source, destination); break;
        }
    }

    private static void Copy(string source, string destination)
    {
        string weights = WeightsOf(source), config = Path.Combine(source, PeftAdapterConfig.FileName);
        if (!File.Exists(config)) throw new FileNotFoundException($"'{source}' holds no {PeftAdapterConfig.FileName}.", config);
        Directory.CreateDirectory(destination);
        File.Copy(config, Path.Combine(destination, PeftAdapterConfig.FileName));
        File.Copy(weights, Path.Combine(destination, Path.GetFileName(weights)));
    }

    private static void Retype(string folder, ScalarType type)
    {
        string path = WeightsOf(folder);
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors;
        Dictionary<string, string> metadata;
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            tensors = file.Entries.ToDictionary(entry => entry.Name, entry => Rounded(file.ReadTensor(entry.Name), type));
            metadata = new Dictionary<string, string>(file.Metadata);
        }
        string[] lost = [.. tensors.Where(pair => pair.Value.is_floating_point() && !pair.Value.isfinite().all().item<bool>()).Select(pair => pair.Key)];
        if (lost.Length > 0) throw new InvalidOperationException($"{lost.Length} tensors hold numbers that {type} cannot, or an infinity or a NaN; the first is '{lost[0]}'.");
        SafetensorsWriter.Save(path, tensors, metadata);
    }

    private static Tensor Rounded(Tensor tensor, ScalarType type) => tensor.is_floating_point() ? tensor.to(type) : tensor;

    private static string WeightsOf(string folder) => _weights.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists) ?? throw new FileNotFoundException($"'{folder}' holds no {string.Join(" and no ", _weights)}.");

    private static ScalarType TypeOf(string text) => text.ToUpperInvariant() switch
    {
        "F32" => ScalarType.Float32,
        "F16" => ScalarType.Float16,
        "BF16" => ScalarType.BFloat16,
        _ => throw new UsageException($"--dtype must be one of F32, F16, BF16, but is '{text}'."),
    };

    private enum Form
    {
        Same,
        Mlx,
        Peft,
        Plain,
        RsLora,
        Folded,
        Unfolded,
    }
}
