using Lora.Injection;
using Lora.Layers;
using Lora.Targeting;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>What an adapter is going to have beside its layers: found out completely, with everything that is wrong, before anything is changed.</summary>
internal sealed class PartPlan
{
    internal const string EmbeddingSetting = "save_embedding_layers";

    private readonly nn.Module _model;
    private readonly LoraConfig _config;
    private readonly IReadOnlyList<ModuleSite> _sites;
    private readonly IReadOnlyList<PlannedLayer> _layers;
    private readonly FileKeys? _file;
    private readonly List<string> _problems = [];
    private readonly List<string> _remarks = [];
    private readonly List<ModuleSite> _saved = [];
    private readonly List<PlannedBuffer> _buffers = [];

    private PartPlan(nn.Module model, LoraConfig config, IReadOnlyList<ModuleSite> sites, IReadOnlyList<PlannedLayer> layers, FileKeys? file)
    {
        (_model, _config, _sites, _layers, _file) = (model, config, sites, layers, file);
    }

    internal IReadOnlyList<string> Problems => _problems;

    /// <summary>Names in a file's settings that the model does not have, each in a sentence.</summary>
    internal IReadOnlyList<string> Remarks => _remarks;

    internal IReadOnlyList<PlannedReplacement> Biases { get; private set; } = [];

    internal IReadOnlyList<PlannedReplacement> Modules { get; private set; } = [];

    /// <summary>The buffers of these modules.</summary>
    internal IReadOnlyList<PlannedBuffer> Buffers => _buffers;

    /// <summary>The base weights of token embedding and output head, where the file holds them.</summary>
    internal IReadOnlyList<PlannedReplacement> Embeddings { get; private set; } = [];

    internal IReadOnlyList<PlannedRows> Rows { get; private set; } = [];

    /// <summary>The head that shares the adapter of the token embedding, or null.</summary>
    internal PlannedTie? Tie { get; private set; }

    /// <param name="model">The model, which is only looked at.</param>
    /// <param name="config">A valid configuration.</param>
    /// <param name="sites">The model's modules.</param>
    /// <param name="layers">The layers that get adapters.</param>
    /// <param name="file">The keys of the adapter's file; null for a fresh adapter.</param>
    internal static PartPlan Make(nn.Module model, LoraConfig config, IReadOnlyList<ModuleSite> sites, IReadOnlyList<PlannedLayer> layers, FileKeys? file)
    {
        var plan = new PartPlan(model, config, sites, layers, file);
        plan.FindModules();
        plan.FindBiases();
        plan.FindEmbeddings();
        plan.FindRows();
        plan.FindTie();
        return plan;
    }

    /// <summary>Makes the parts; the model does not notice.</summary>
    internal IEnumerable<AdapterPart> Make(string adapterName)
    {
        if (Biases.Count > 0) yield return new ReplacedParameters(adapterName, "bias", Biases);
        if (Modules.Count > 0) yield return new ReplacedParameters(adapterName, "modules_to_save", Modules, Buffers);
        // What a file brings may differ from the model's; else the model's own are all that is needed.
        if (Embeddings.Count > 0) yield return _file is null ? new BaseWeights(adapterName, Embeddings) : new ReplacedParameters(adapterName, EmbeddingSetting, Embeddings);
        foreach (PlannedRows rows in Rows) yield return new TokenRows(adapterName, rows);
    }

    private void FindModules()
    {
        foreach (string name in _config.ModulesToSave)
        {
            ModuleSite[] matches = [.. Matches(name)];
            if (matches.Length == 0 && !TaskHeads.Names(_config, name)) Unmatched("modules_to_save", name);
            foreach (ModuleSite site in matches.Where(site => !_saved.Exists(saved => IsWithin(site.Path, saved.Path))))
            {
                _saved.RemoveAll(saved => IsWithin(saved.Path, site.Path));
                _saved.Add(site);
            }
        }
        Modules = [.. _sites.Where(_saved.Contains).SelectMany(ParametersOf)];
    }

    // PEFT takes any path whose text ends so; a file made by it then holds what it took.
    private IEnumerable<ModuleSite> Matches(string name) =>
        _sites.Where(site => SavedModules.Names(name, site.Path) || (_file?.HasModule(site.Path) == true && site.Path.EndsWith(name, StringComparison.Ordinal)));

    private void Unmatched(string setting, string name)
    {
        IReadOnlyList<string> near = NearNames.Find(name, _sites.Select(site => site.Path), 3);
        string text = $"{setting} names '{name}', which the model does not have" + (near.Count > 0 ? $"; did you mean {string.Join(", ", near)}?" : "");
        if (_file is null) _problems.Add(text);
        else _remarks.Add(text);
    }

    private IEnumerable<PlannedReplacement> ParametersOf(ModuleSite saved)
    {
        string kind = ModuleSlot.ReadableName(saved.Module.GetType());
        if (saved.Layer is not null)
        {
            _problems.Add($"modules_to_save names '{saved.Path}', which another adapter adapts: a module can be adapted or trained in full, not both");
            return [];
        }
        if (IsContainer(saved.Module))
        {
            _problems.Add($"modules_to_save names '{saved.Path}', a {kind}, which is never called itself: name the modules in it");
            return [];
        }
        if (_model is IHasTokenEmbedding { TiedHead: not null } tied && TieProblem(saved, tied) is string problem)
        {
            _problems.Add(problem);
            return [];
        }
        _buffers.AddRange(Inside(saved).SelectMany(OwnBuffers).Select(buffer => buffer with { Whole = saved }));
        PlannedReplacement[] parameters = [.. Inside(saved).SelectMany(site => OwnParameters(site, "modules_to_save", _ => true, site.Path)).Select(parameter => parameter with { Whole = saved })];
        if (parameters.Length == 0 && _problems.Count == 0) _problems.Add($"modules_to_save names '{saved.Path}', a {kind}, which has no parameters");
        return parameters;
    }

    private string? TieProblem(ModuleSite saved, IHasTokenEmbedding tied)
    {
        if (ReferenceEquals(BaseOf(tied.TiedHead), saved.Module))
            return $"modules_to_save names '{saved.Path}', which has no weight of its own but shares that of the token embedding: name the embedding, with {nameof(LoraConfig.EnsureWeightTying)} (ensure_weight_tying)";
        return ReferenceEquals(BaseOf(tied.TokenEmbedding), saved.Module) && !_config.EnsureWeightTying
            ? $"modules_to_save names '{saved.Path}', whose weight the output head shares: set {nameof(LoraConfig.EnsureWeightTying)} (ensure_weight_tying) so that the head follows the trained copy"
            : null;
    }

    private void FindTie()
    {
        if (!_config.EnsureWeightTying || TiedTargets.Sites(_model, _sites) is not (ModuleSite embedding, ModuleSite head)) return;
        if (!_layers.Any(layer => ReferenceEquals(layer.Site.Module, embedding.Module)))
        {
            if (_config.TargetModules?.Equals(ModuleSelector.AllLinear) == false && _config.Selects(head.Path))
                _problems.Add($"ensure_weight_tying gives '{head.Path}' the adapter of '{embedding.Path}', which has none: make that a target too, or set ensure_weight_tying to false");
            return;
        }
        AdapterSettings first = AdapterSettings.For(_config, embedding.Path), second = AdapterSettings.For(_config, head.Path);
        if (first != second)
            _problems.Add($"ensure_weight_tying gives '{embedding.Path}' and '{head.Path}' one adapter, but the patterns ask for rank {first.Rank} and alpha {first.Alpha} on one, rank {second.Rank} and alpha {second.Alpha} on the other");
        if (head.Layer is not null)
            _problems.Add($"ensure_weight_tying gives '{head.Path}' the adapter of '{embedding.Path}', but another adapter adapts it by itself");
        if (head.Module is nn.Module<Tensor, Tensor> module)
            Tie = new PlannedTie(embedding.Path, head.Path, module, Embeddings.Any(weight => weight.Path == embedding.Path));
        else
            _problems.Add($"ensure_weight_tying gives '{head.Path}' the adapter of '{embedding.Path}', but it is a {ModuleSlot.ReadableName(head.Module.GetType())}, which is no {nameof(nn.Module)} from one tensor to one");
    }

    private void FindBiases()
    {
        if (_config.Bias == BiasKind.None) return;
        var adapted = _layers.Select(layer => layer.Site.Path).ToHashSet(StringComparer.Ordinal);
        IEnumerable<ModuleSite> sites = _sites.Where(site => !_saved.Exists(saved => IsWithin(site.Path, saved.Path)));
        if (_config.Bias == BiasKind.LoraOnly) sites = sites.Where(site => adapted.Contains(site.Path));
        else sites = sites.Prepend(new ModuleSite("", "", _model, _model));
        Biases = [.. sites.SelectMany(site => OwnParameters(site, "bias", name => name == "bias", adapted.Contains(site.Path) ? site.Path + ".base_layer" : site.Path))];
    }

    private void FindEmbeddings()
    {
        nn.Module?[] known = [BaseOf((_model as IHasTokenEmbedding)?.TokenEmbedding), BaseOf((_model as IHasOutputHead)?.OutputHead)];
        Embeddings =
        [
            .. from site in _sites
               where known.Contains(site.Module) && !_saved.Contains(site)
               let key = _layers.Any(layer => ReferenceEquals(layer.Site, site)) ? site.Path + ".base_layer" : site.Path
               where _file is null ? SavesEmbeddings : _file.Has(key + ".weight")
               from parameter in OwnParameters(site, EmbeddingSetting, name => name == "weight", key)
               select parameter with { Trains = false },
        ];
    }

    // PEFT decides it so where nothing is said.
    private bool SavesEmbeddings => _config.SaveEmbeddings ?? (_config.TrainableTokens is null && (_config.TargetModules?.Names is { } names
        ? names.Any(IsEmbeddingName)
        : _config.TargetModules?.Pattern is not null && _layers.Any(layer => IsEmbeddingName(layer.Site.Name))));

    private static bool IsEmbeddingName(string name) => name is "embed_tokens" or "lm_head";

    private void FindRows()
    {
        var rows = new List<PlannedRows>();
        foreach ((string name, SettingList<int> indices) in _config.TrainableTokens?.Ordered ?? [])
        {
            ModuleSite[] matches = [.. name.Length > 0 ? Matches(name) : InputEmbedding()];
            if (matches.Length == 0)
            {
                _problems.Add(name.Length > 0
                    ? $"trainable_token_indices names '{name}', which the model does not have"
                    : $"trainable_token_indices names no embedding, and the model neither says which it is ({nameof(IHasTokenEmbedding)}) nor has one called embed_tokens: give the rows with its name");
            }
            foreach (ModuleSite site in matches)
                if (RowsOf(site, indices) is PlannedRows planned) rows.Add(planned);
        }
        Rows = rows;
    }

    private IEnumerable<ModuleSite> InputEmbedding() => BaseOf((_model as IHasTokenEmbedding)?.TokenEmbedding) is nn.Module embedding
        ? _sites.Where(site => ReferenceEquals(site.Module, embedding))
        : Matches("embed_tokens");

    private PlannedRows? RowsOf(ModuleSite site, IReadOnlyList<int> indices)
    {
        string? problem = null;
        long count = 0;
        if (site.Module is Embedding embedding)
        {
            using Parameter weight = embedding.weight!;
            count = weight.shape[0];
        }
        else
        {
            problem = $"is a {ModuleSlot.ReadableName(site.Module.GetType())}, not an Embedding";
        }
        if (problem is null && indices.Any(index => index >= count)) problem = $"has {count} rows, but row {indices.First(index => index >= count)} is asked for";
        if (_layers.Any(layer => ReferenceEquals(layer.Site, site))) problem = "is named in target_modules too: train its rows or adapt it, not both";
        if (_saved.Exists(saved => IsWithin(site.Path, saved.Path))) problem = "is named in modules_to_save too, which trains all of its rows";
        if (problem is not null)
        {
            _problems.Add($"trainable_token_indices: '{site.Path}' {problem}");
            return null;
        }
        var tied = _model as IHasTokenEmbedding;
        nn.Module? head = ReferenceEquals(BaseOf(tied?.TokenEmbedding), site.Module) ? BaseOf(tied?.TiedHead) : null;
        return new PlannedRows(site.Path, (Embedding)site.Module, (nn.Module<Tensor, Tensor>?)head, head is null ? "" : ModuleWalker.PathOf(_model, head) ?? "", indices);
    }

    private IEnumerable<PlannedReplacement> OwnParameters(ModuleSite site, string setting, Func<string, bool> wanted, string keyPath)
    {
        foreach ((string name, Parameter parameter) in site.Module.named_parameters(recurse: false).Where(p => wanted(p.name)))
        {
            string path = site.Path.Length > 0 ? $"{site.Path}.{name}" : name;
            if (ParameterPlace.Find(site.Module, name, out string obstacle) is ParameterPlace place)
                yield return new PlannedReplacement(site, site.Path, place, keyPath.Length > 0 ? $"{keyPath}.{name}" : name, path, parameter.numel(), parameter.numel() * parameter.element_size());
            else
                _problems.Add($"{setting} asks for '{path}', which cannot be trained apart, since {obstacle}");
        }
    }

    private IEnumerable<PlannedBuffer> OwnBuffers(ModuleSite site)
    {
        foreach ((string name, _) in site.Module.named_buffers(recurse: false))
        {
            if (BufferPlace.Find(site.Module, name, out string obstacle) is BufferPlace place)
                yield return new PlannedBuffer(site, place, $"{site.Path}.{name}");
            else
                _problems.Add($"modules_to_save asks for the buffer '{site.Path}.{name}', of which no copy can be put in its place, since {obstacle}");
        }
    }

    private IEnumerable<ModuleSite> Inside(ModuleSite saved) => _sites.Where(site => IsWithin(site.Path, saved.Path));

    private static bool IsWithin(string path, string outer) => path == outer || path.StartsWith(outer + ".", StringComparison.Ordinal);

    // A model gives what stands in its field, which may be an adapted layer by now.
    private static nn.Module? BaseOf(nn.Module? module) => module is ILoraLayer layer ? layer.BaseLayer : module;

    private static bool IsContainer(nn.Module module)
    {
        for (Type? type = module.GetType(); type is not null; type = type.BaseType)
        {
            if (type == typeof(ParameterList) || (type.IsGenericType && type.GetGenericTypeDefinition() is Type open
                && (open == typeof(ModuleList<>) || open == typeof(ModuleDict<>)))) return true;
            if (type == typeof(ParameterDict)) return true;
        }
        return false;
    }
}
