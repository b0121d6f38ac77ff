using Lora.Parts;
using static TorchSharp.torch;

namespace Lora.Serialization;

/// <summary>A folder with one adapter in PEFT's two files.</summary>
internal sealed class AdapterFolder : IDisposable
{
    internal const string WeightsName = "adapter_model.safetensors";

    private AdapterFolder(string path, PeftAdapterConfig file, LoraConfig config, SafetensorsFile weights)
    {
        Path = path;
        File = file;
        Config = config;
        Weights = weights;
    }

    internal string Path { get; }

    /// <summary>The configuration as it is written; <see cref="PeftAdapterConfig.With"/> keeps its unknown fields when the adapter is saved again.</summary>
    internal PeftAdapterConfig File { get; }

    internal LoraConfig Config { get; }

    internal SafetensorsFile Weights { get; }

    /// <summary>Opens both files and reports what is wrong with either in one exception.</summary>
    internal static AdapterFolder Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var problems = new List<string>();
        PeftAdapterConfig? file = Attempt(path, PeftAdapterConfig.FileName, PeftAdapterConfig.Load, problems);
        LoraConfig? config = file is null ? null : Attempt(path, PeftAdapterConfig.FileName, _ => file.ToLoraConfig(), problems);
        SafetensorsFile? weights = Attempt(path, WeightsName, SafetensorsFile.Open, problems);
        if (problems.Count == 0)
        {
            return new AdapterFolder(path, file!, config!, weights!);
        }

        weights?.Dispose();
        throw new AdapterFormatException(path, problems);
    }

    /// <summary>Says that there is no such folder, or that a file has the name.</summary>
    /// <exception cref="DirectoryNotFoundException">There is none.</exception>
    internal static void ThrowIfMissing(string path)
    {
        if (Directory.Exists(path)) return;
        throw new DirectoryNotFoundException(System.IO.File.Exists(path) ? $"'{path}' is a file: give the adapter's folder, which holds it." : $"There is no adapter folder '{path}'.");
    }

    /// <summary>What the files hold, with the tensors under their names in the model. The answer closes them.</summary>
    /// <exception cref="AdapterFormatException">A prefix is to be renamed that no key has.</exception>
    internal SavedAdapter Understand(KeyRenaming renaming)
    {
        bool prefixed = Weights.Entries.Count == 0 || Weights.Entries.Any(entry => entry.Name.StartsWith(FileKeys.Prefix, StringComparison.Ordinal));
        string Bare(SafetensorsEntry entry) => prefixed && entry.Name.StartsWith(FileKeys.Prefix, StringComparison.Ordinal) ? entry.Name[FileKeys.Prefix.Length..] : entry.Name;
        string[] unused = [.. renaming.Unused([.. Weights.Entries.Select(Bare)])];
        if (unused.Length > 0) throw new AdapterFormatException(Path, unused);
        // A key that lacks the prefix beside keys that have it is nobody's, and stays so.
        return new SavedAdapter(Path, renaming.Apply(Config), Weights,
        [
            .. Weights.Entries.Select(entry => new AdapterTensor(Weights, entry,
                prefixed && !entry.Name.StartsWith(FileKeys.Prefix, StringComparison.Ordinal) ? entry.Name : FileKeys.Prefix + renaming.Apply(Bare(entry)))),
        ])
        {
            File = File,
            Remarks = [.. File.Remarks, .. prefixed ? [] : new[] { $"the keys of {WeightsName} lack PEFT's prefix {FileKeys.Prefix}" }],
        };
    }

    /// <summary>Writes both files, so that a failure leaves the pair that was there before. The folder is made where it does not exist.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="config">What is written into the configuration file.</param>
    /// <param name="tensors">The tensors by their keys.</param>
    /// <param name="metadata">Remarks beside the one that PEFT makes.</param>
    internal static void Save(string path, PeftAdapterConfig config, IEnumerable<KeyValuePair<string, Tensor>> tensors, IEnumerable<KeyValuePair<string, string>>? metadata = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SafetensorsLayout layout = SafetensorsLayout.Of(tensors);
        NewFolder.Write(path, () => AtomicFile.WriteAll(
            (System.IO.Path.Combine(path, PeftAdapterConfig.FileName), config.Write),
            (System.IO.Path.Combine(path, WeightsName), stream => SafetensorsWriter.Write(stream, layout, SafetensorsWriter.TorchMetadata.Concat(metadata ?? []).ToDictionary()))));
    }

    public void Dispose() => Weights.Dispose();

    private static T? Attempt<T>(string folder, string name, Func<string, T> read, List<string> problems)
        where T : class
    {
        string file = System.IO.Path.Combine(folder, name);
        if (Directory.Exists(file))
        {
            problems.Add($"{name}: it is a folder, not a file.");
            return null;
        }

        try
        {
            return read(file);
        }
        catch (AdapterFormatException exception)
        {
            problems.AddRange(exception.Problems.Select(problem => $"{name}: {problem}"));
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            bool pickled = name == WeightsName && System.IO.File.Exists(System.IO.Path.Combine(folder, "adapter_model.bin"));
            problems.Add($"{name}: there is no such file{(pickled ? "; adapter_model.bin, which is there, is a pickle, whose reading can run code: load it with PEFT and save it with save_pretrained(folder, safe_serialization=True)" : "")}.");
        }

        return null;
    }
}
