using System.Text.Json;
using Lora.Injection;
using Lora.Layers;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>diffusers' file: PEFT's names behind the name of the model in its pipeline, with the settings in the file's remarks, or the names of its older dialects.</summary>
/// <param name="prefix">The name of the model, with a dot; empty where keys have none.</param>
/// <param name="otherPrefixes">Names of other models, with a dot, whose tensors are passed over.</param>
internal sealed class DiffusersFormat(string prefix, IReadOnlyList<string> otherPrefixes) : AdapterFormat
{
    internal const string FileName = "pytorch_lora_weights.safetensors";

    private const int NamesShown = 3;

    public override string ToString() => "diffusers";

    internal override SavedAdapter Open(string path, nn.Module model, WrapOptions options, KeyRenaming renaming)
    {
        string file = Directory.Exists(path) ? Path.Combine(path, FileName) : path;
        return ForeignFile.Open(file, opened => Understand(file, opened, model, renaming));
    }

    internal override void Save(string path, AdapterToSave adapter)
    {
        adapter.ThrowIf(adapter.Obstacles(layer => layer is LoraLinear or LoraConv, "linear layers and convolutions"), this);
        var metadata = new Dictionary<string, string>(SafetensorsWriter.TorchMetadata.Concat(adapter.Marks)) { [DiffusersMetadata.Key] = DiffusersMetadata.Write(adapter.Config, prefix) };
        KeyValuePair<string, Tensor>[] tensors =
        [
            .. from layer in adapter.Adapters
               from tensor in layer.Adapter.FileTensors
               select KeyValuePair.Create($"{prefix}{layer.Path}.{tensor.Key}", adapter.Saved.TensorOf(layer.Adapter, tensor.Key, tensor.Value)),
        ];
        if (path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase)) SafetensorsWriter.Save(path, tensors, metadata);
        else NewFolder.Write(path, () => SafetensorsWriter.Save(Path.Combine(path, FileName), tensors, metadata));
    }

    private SavedAdapter Understand(string path, SafetensorsFile file, nn.Module model, KeyRenaming renaming)
    {
        var pairs = new FoundPairs(file);
        SafetensorsEntry[] own = [.. file.Entries.Where(entry => PrefixOf(entry.Name) == prefix)];
        foreach (SafetensorsEntry entry in file.Entries.Where(entry => PrefixOf(entry.Name) is null))
            pairs.Refuse($"unexpected tensor {entry.Name}: it begins with none of the prefixes {string.Join(", ", otherPrefixes.Prepend(prefix))}");
        if (own.Length == 0)
            pairs.Refuse($"no tensor {(prefix.Length > 0 ? $"begins with {prefix}" : "is this model's")}; the file has {string.Join(", ", file.Entries.Take(NamesShown).Select(entry => entry.Name))}{(file.Entries.Count > NamesShown ? $" and {file.Entries.Count - NamesShown} more" : "")}");
        foreach (string problem in renaming.Unused([.. own.Select(entry => entry.Name[prefix.Length..])])) pairs.Refuse(problem);
        Resolve(pairs, own, model, renaming);
        int passed = file.Entries.Count(entry => PrefixOf(entry.Name) is string other && other != prefix);
        if (passed > 0) pairs.Remark($"tensors for other models ({string.Join(", ", otherPrefixes)}) were passed over: {passed}");

        PeftAdapterConfig? settings = DiffusersMetadata.Read(path, file.Metadata, prefix);
        if (settings is null && file.Metadata.ContainsKey(DiffusersMetadata.Key)) pairs.Refuse($"{DiffusersMetadata.Key} has no settings {(prefix.Length > 0 ? $"that begin with {prefix}" : "without the prefix of a model: give it to the form")}");
        if (settings is not null && pairs.HasAlpha) pairs.Refuse($"there are settings in {DiffusersMetadata.Key} and alphas beside the tensors, which may differ: remove either");
        IReadOnlyList<(string Path, int Rank, double Alpha)> layers = pairs.Complete();
        if (pairs.Problems.Count > 0) throw new AdapterFormatException(path, pairs.Problems);
        LoraConfig found = ExactTargets.ConfigOf(model, layers) with { UseLoraBias = pairs.HasBias };
        LoraConfig config = settings is null ? found : With(renaming.Apply(DiffusersMetadata.Complete(settings, found).ToLoraConfig()), settings, found);
        if (config.UseDora) throw new AdapterFormatException(path, "use_dora is true, which asks for the magnitudes of DoRA, which this version does not read from here");
        return new SavedAdapter(path, config, file, pairs.Tensors(layers)) { Remarks = [.. settings?.Remarks ?? [], .. pairs.Remarks] };
    }

    private void Resolve(FoundPairs pairs, IEnumerable<SafetensorsEntry> entries, nn.Module model, KeyRenaming renaming)
    {
        HashSet<string> paths = [.. ModuleWalker.Walk(model).Select(site => site.Path)];
        var unresolved = new HashSet<string>(StringComparer.Ordinal);
        foreach (SafetensorsEntry entry in entries)
        {
            if (DiffusersKey.Parse(renaming.Apply(entry.Name[prefix.Length..])) is not DiffusersKey key)
            {
                pairs.Refuse($"unexpected tensor {entry.Name}: {(entry.Name.EndsWith("lora_magnitude_vector", StringComparison.Ordinal) ? "it is the magnitudes of DoRA, which this version does not read from here" : "it is none of a low-rank pair")}");
            }
            else if (key.Paths.FirstOrDefault(paths.Contains) is string path)
            {
                pairs.Add(path, key.Kind, entry);
            }
            else if (unresolved.Add(key.Paths[0]))
            {
                IReadOnlyList<string> near = NearNames.Find(key.Paths[0], paths, NamesShown);
                pairs.Refuse($"unexpected tensor {entry.Name}: the model has no module {string.Join(" or ", key.Paths.Select(path => $"'{path}'"))}" + (near.Count > 0 ? $"; did you mean {string.Join(", ", near)}?" : ""));
            }
        }
    }

    // What the settings do not say is what the tensors show.
    private static LoraConfig With(LoraConfig config, PeftAdapterConfig settings, LoraConfig found) => config with
    {
        Rank = settings.Fields.ContainsKey("r") ? config.Rank : found.Rank,
        RankPattern = settings.Fields.ContainsKey("r") ? config.RankPattern : found.RankPattern,
        Alpha = settings.Fields.ContainsKey("lora_alpha") ? config.Alpha : found.Alpha,
        AlphaPattern = settings.Fields.ContainsKey("lora_alpha") ? config.AlphaPattern : found.AlphaPattern,
        // Those that were found bear the model's names already.
        TargetModules = settings.Fields.TryGetValue("target_modules", out JsonElement targets) && targets.ValueKind != JsonValueKind.Null ? config.TargetModules : found.TargetModules,
        UseLoraBias = settings.Fields.ContainsKey("lora_bias") ? config.UseLoraBias : found.UseLoraBias,
    };

    // Of all that fit the longest; null where none does.
    private string? PrefixOf(string name) => otherPrefixes.Prepend(prefix).Where(candidate => name.StartsWith(candidate, StringComparison.Ordinal)).MaxBy(candidate => candidate.Length);
}
