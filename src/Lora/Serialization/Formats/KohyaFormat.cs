using System.Text.RegularExpressions;
using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>kohya's file (sd-scripts): <c>lora_unet_path_with_underscores.lora_down.weight</c>, <c>.lora_up.weight</c> and <c>.alpha</c>.</summary>
/// <param name="prefixes">For each prefix, the path of the module that it stands for; an empty one for the whole model.</param>
/// <param name="otherPrefixes">Prefixes of tensors for other models, which are passed over.</param>
/// <param name="foldAlpha">Whether alpha / r goes into B when a file is read.</param>
internal sealed partial class KohyaFormat(IReadOnlyDictionary<string, string> prefixes, IReadOnlyList<string> otherPrefixes, bool foldAlpha) : AdapterFormat
{
    private const int NamesShown = 3;

    // What other methods, which are no LoRA, leave in files of this form.
    private static readonly (string Part, string Meaning)[] _others =
    [
        ("dora_scale", "the magnitudes of DoRA, which this version does not read from here"),
        ("lora_mid", "the core of a Tucker decomposition, which is no LoRA of two factors"),
        ("hada_", "LoHa"),
        ("lokr_", "LoKr"),
        ("oft_", "OFT"),
        ("diff", "the difference of a whole weight"),
        ("reshape_weight", "a layer of another shape"),
    ];

    public override string ToString() => "kohya";

    internal override SavedAdapter Open(string path, nn.Module model, WrapOptions options, KeyRenaming renaming)
    {
        if (!renaming.IsEmpty)
            throw new ArgumentException($"{nameof(LoadOptions.RenamedPrefixes)} renames parts of paths, which kohya's names do not have: give the prefixes to the form.", nameof(renaming));
        return ForeignFile.Open(path, file => Understand(path, file, model, new KohyaNames(model, options, prefixes)));
    }

    internal override void Save(string path, AdapterToSave adapter)
    {
        adapter.ThrowIf([.. adapter.Obstacles(layer => layer is LoraLinear or LoraConv { BaseLayer: Conv2d }, "linear layers and Conv2d"), .. Obstacles(adapter)], this);
        SafetensorsWriter.Save(path, Tensors(adapter), Metadata(adapter));
    }

    private SavedAdapter Understand(string path, SafetensorsFile file, nn.Module model, KohyaNames names)
    {
        var pairs = new FoundPairs(file);
        var unresolved = new HashSet<string>(StringComparer.Ordinal);
        int own = 0, passed = 0;
        foreach (SafetensorsEntry entry in file.Entries)
        {
            string? prefix = prefixes.Keys.Concat(otherPrefixes).Where(prefix => entry.Name.StartsWith(prefix, StringComparison.Ordinal)).MaxBy(prefix => prefix.Length);
            if (prefix is null)
            {
                pairs.Refuse($"unexpected tensor {entry.Name}: it begins with none of the prefixes {string.Join(", ", prefixes.Keys.Concat(otherPrefixes))}");
                continue;
            }
            if (!prefixes.ContainsKey(prefix))
            {
                passed++;
                continue;
            }
            own++;
            Match match = Key().Match(entry.Name);
            if (!match.Success) pairs.Refuse($"unexpected tensor {entry.Name}: {Meaning(entry.Name)}");
            else if (names.Resolve(match.Groups["name"].Value, out string problem) is string layer) pairs.Add(layer, KindOf(match.Groups["tensor"].Value), entry);
            else if (unresolved.Add(problem)) pairs.Refuse(problem);
        }
        if (own == 0) pairs.Refuse($"no tensor begins with {string.Join(" or ", prefixes.Keys)}; the file has {string.Join(", ", file.Entries.Take(NamesShown).Select(entry => entry.Name))}{(file.Entries.Count > NamesShown ? $" and {file.Entries.Count - NamesShown} more" : "")}");
        if (passed > 0) pairs.Remark($"tensors for other models ({string.Join(", ", otherPrefixes)}) were passed over: {passed}");
        IReadOnlyList<(string Path, int Rank, double Alpha)> layers = pairs.Complete();
        if (pairs.Problems.Count > 0) throw new AdapterFormatException(path, pairs.Problems);
        IReadOnlyList<AdapterTensor> tensors = pairs.Tensors(layers, foldAlpha);
        return new SavedAdapter(path, ExactTargets.ConfigOf(model, foldAlpha ? [.. layers.Select(layer => layer with { Alpha = layer.Rank })] : layers), file, tensors) { Remarks = pairs.Remarks };
    }

    private IEnumerable<string> Obstacles(AdapterToSave adapter)
    {
        if (adapter.Config.UseLoraBias) yield return "lora_bias is set, and there is no place for the bias of lora_up";
        foreach ((string path, LoraAdapter layer) in adapter.Adapters)
        {
            if (KohyaNames.NameOf(prefixes, path) is null) yield return $"'{path}' is in none of the modules that prefixes are given for ({string.Join(", ", prefixes.Values)})";
            if (AlphaOf(layer) == 0) yield return $"the alpha of '{path}' is 0, which is read as the rank in this form";
            if (layer.A.dim() == 4 && layer.B.shape[1] != layer.Rank) yield return $"'{path}' is a convolution in groups, and lora_up has none in this form";
        }
        foreach (IGrouping<string?, string> twice in adapter.Adapters.Select(layer => layer.Path).GroupBy(path => KohyaNames.NameOf(prefixes, path)).Where(group => group.Key is not null && group.Count() > 1))
            yield return $"{string.Join(" and ", twice.Select(path => $"'{path}'"))} have the same name in this form, {twice.Key}";
    }

    private IEnumerable<KeyValuePair<string, Tensor>> Tensors(AdapterToSave adapter)
    {
        foreach ((string path, LoraAdapter layer) in adapter.Adapters)
        {
            string name = KohyaNames.NameOf(prefixes, path)!;
            yield return new($"{name}.lora_down.weight", adapter.Saved.TensorOf(layer, "lora_A.weight", layer.A));
            yield return new($"{name}.lora_up.weight", adapter.Saved.TensorOf(layer, "lora_B.weight", layer.B));
            yield return new($"{name}.alpha", tensor((float)AlphaOf(layer)));
        }
    }

    // What user interfaces know such files by.
    private static Dictionary<string, string> Metadata(AdapterToSave adapter) => new(adapter.Marks.Concat(SafetensorsWriter.TorchMetadata))
    {
        ["ss_network_module"] = "networks.lora",
        ["ss_network_dim"] = Common(adapter.Adapters.Select(layer => (double)layer.Adapter.FactorRank)),
        ["ss_network_alpha"] = Common(adapter.Adapters.Select(layer => AlphaOf(layer.Adapter))),
    };

    private static string Common(IEnumerable<double> values) => values.Distinct().ToArray() is [double one] ? PythonJson.Number(one) : "Dynamic";

    // The scale is alpha / r always.
    private static double AlphaOf(LoraAdapter adapter) => (adapter.Alpha / adapter.FactorRank).Equals(adapter.InitialScale) ? adapter.Alpha : adapter.InitialScale * adapter.FactorRank;

    private static string Meaning(string name) => Array.Find(_others, other => name.Contains("." + other.Part, StringComparison.Ordinal)) is { Meaning: string meaning }
        ? $"it is {meaning}"
        : "lora_down.weight, lora_up.weight and alpha are all that a layer has in this form";

    private static PairTensor KindOf(string tensor) => tensor switch
    {
        "lora_down.weight" => PairTensor.Down,
        "lora_up.weight" => PairTensor.Up,
        _ => PairTensor.Alpha,
    };

    [GeneratedRegex(@"^(?<name>[^.]+)\.(?<tensor>lora_down\.weight|lora_up\.weight|alpha)$", RegexOptions.CultureInvariant)]
    private static partial Regex Key();
}
