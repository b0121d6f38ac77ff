using Lora.Conversion;
using Lora.Parts;
using Lora.Serialization;

namespace Lora.Export;

/// <summary>What adapters change in which tensor of a checkpoint. Everything that cannot be merged is found here, before anything is written.</summary>
internal sealed class MergePlan
{
    private const string RowsKind = ".token_adapter.trainable_tokens_delta";
    private readonly BaseCheckpoint _base;
    private readonly OrderedDictionary<string, PlannedTensor> _tensors = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];
    private AdapterFolder _adapter = null!;
    private PathFit _fit = null!;
    private bool _mirrorsHead;

    private MergePlan(BaseCheckpoint checkpoint)
    {
        _base = checkpoint;
        foreach (SafetensorsEntry entry in checkpoint.Source.Entries) _tensors.Add(entry.Name, new PlannedTensor(entry.Name, entry));
    }

    /// <summary>The tensors, in the order of the base; a head that is new comes last.</summary>
    internal IReadOnlyList<PlannedTensor> Tensors => [.. _tensors.Values];

    /// <summary>Whether the output head gets a weight of its own.</summary>
    internal bool UntiesHead { get; private set; }

    /// <exception cref="AdapterFormatException">An adapter is damaged, does not fit the base, or has what cannot be merged; everything about it is listed.</exception>
    internal static MergePlan Of(BaseCheckpoint checkpoint, IReadOnlyList<AdapterFolder> adapters)
    {
        var plan = new MergePlan(checkpoint);
        plan.UntiesHead = checkpoint.IsTied && adapters.Any(plan.PullsApart);
        if (plan.UntiesHead)
        {
            // It begins with what it shared; a copy of that in the file, which the tie had made meaningless, is not read.
            plan._tensors[BaseCheckpoint.Head] = new PlannedTensor(BaseCheckpoint.Head, checkpoint.Embedding!);
            if (checkpoint.Config is null) throw new AdapterFormatException(checkpoint.Folder, "the output head has the token embedding's weight, an adapter changes one of the two alone, and there is no config.json to say that they are two weights now.");
        }
        foreach (AdapterFolder adapter in adapters) plan.Add(adapter);
        return plan;
    }

    private void Add(AdapterFolder adapter)
    {
        _adapter = adapter;
        IReadOnlyList<FilePair> tensors = FilePair.Of(adapter.Weights);
        _problems.AddRange(AdapterScaling.Problems(adapter, tensors));
        LoraConfig config = adapter.Config;
        if (config.LayerReplication.Count > 0) _problems.Add("layer_replication is set: copies of a layer share one weight, which cannot hold the updates of all");
        if (config.TargetParameters is not null) _problems.Add($"target_parameters is set ({config.TargetParameters}): which of a file's tensors belongs to which parameter only the model tells");
        if (config.InvocationTokens.Count > 0) _problems.Add("alora_invocation_tokens is set: the weight is another one behind the invocation than before it, which merging would make one");
        _fit = PathFit.Of(_base.Source, [.. tensors.Select(tensor => tensor.IsFactor ? tensor.Path : ModuleOf(tensor.Kind)).Where(path => path.Length > 0).Distinct(StringComparer.Ordinal)]);
        _mirrorsHead = config.EnsureWeightTying && _base.IsTied && !UntiesHead;
        foreach (FilePair tensor in tensors.Where(tensor => !IsFloatingPoint(tensor.Entry)))
            _problems.Add($"tensor {tensor.Entry.Name} has the type {tensor.Entry.Type.ToFileName()}, but a floating-point type (F16, BF16, F32 or F64) is needed");
        if (_problems.Count == 0)
        {
            foreach (FilePair tensor in tensors.Where(tensor => !FiniteNumbers.Are(adapter.Weights, tensor.Entry))) _problems.Add($"tensor {tensor.Entry.Name} holds a NaN or an infinity");
            // What replaces a weight comes before what is added to it.
            foreach (FilePair tensor in tensors.Where(tensor => !tensor.IsFactor)) AddOther(tensor);
            foreach (IGrouping<string, FilePair> layer in tensors.Where(tensor => tensor.IsFactor).GroupBy(tensor => tensor.Path, StringComparer.Ordinal)) AddLayer(layer.Key, [.. layer]);
            if (tensors.Count == 0) _problems.Add("it holds no tensor");
        }
        if (_problems.Count > 0) throw new AdapterFormatException(adapter.Path, _problems);
    }

    private void AddLayer(string path, FilePair[] tensors)
    {
        if (_mirrorsHead && path == ModuleOf(BaseCheckpoint.Head)) return; // It is the embedding's, the other way round.
        FilePair? a = tensors.FirstOrDefault(tensor => tensor.IsDown), b = tensors.FirstOrDefault(tensor => tensor.IsUp && tensor.Kind != "lora_B.bias");
        FilePair? magnitude = tensors.FirstOrDefault(tensor => tensor.Kind == "lora_magnitude_vector"), bias = tensors.FirstOrDefault(tensor => tensor.Kind == "lora_B.bias");
        if (tensors[0].IsNested) { _problems.Add($"'{path}' is a weight inside another layer's wrapper, of which a file does not tell what it is"); return; }
        if (a is null || b is null || a.IsEmbedding != b.IsEmbedding) { _problems.Add($"'{path}' has {string.Join(", ", tensors.Select(tensor => tensor.Kind))} only: a pair of A and B is needed"); return; }
        string name = _fit.NameOf(path, "weight");
        if (!_tensors.TryGetValue(name, out PlannedTensor? planned))
        {
            _problems.Add(_tensors.ContainsKey(_fit.NameOf(path, "in_proj_weight"))
                ? $"'{path}' is a MultiheadAttention, whose packed weight cannot be merged from files: load the model and merge it there"
                : $"'{path}' has an adapter, but the checkpoint has no tensor '{name}'");
            return;
        }
        if (_adapter.Config.UseDora != magnitude is not null)
        {
            _problems.Add(magnitude is null ? $"'{path}' lacks lora_magnitude_vector, which use_dora asks for" : $"'{path}' has lora_magnitude_vector, but use_dora is not true");
            return;
        }
        if (!IsFloatingPoint(planned.Entry))
        {
            _problems.Add($"'{path}' has a weight of type {planned.Entry.Type.ToFileName()}, to which no update can be added: merge into the checkpoint before it was quantised");
            return;
        }
        if (KindOf(path, a, b, planned.Entry) is not LowRankKind kind) return;
        int rank = _adapter.Config.RankFor(path);
        double scale = AdapterScaling.ScaleOf(_adapter.Config, path);
        bool outFirst = kind == LowRankKind.OutFirst;
        if (magnitude is not null && magnitude.Entry.Shape.Aggregate(1L, (product, size) => product * size) != (outFirst ? planned.Entry.Shape[0] : planned.Entry.Shape[1]))
        {
            _problems.Add($"tensor {magnitude.Entry.Name} has the shape {Text(magnitude.Entry)}, which is not one number for each output of '{name}', shape {Text(planned.Entry)}");
            return;
        }
        planned.Updates.Add(new LowRankUpdate(_adapter.Weights, scale, (outFirst ? b : a).Entry.Name, (outFirst ? a : b).Entry.Name, kind) { Magnitude = magnitude?.Entry.Name });
        if (_mirrorsHead && planned.Entry == _base.Embedding && _base.HasHead) _tensors[BaseCheckpoint.Head].Updates.Add(planned.Updates[^1]);
        if (bias is not null) AddBias(path, bias, scale);
    }

    private void AddBias(string path, FilePair bias, double scale)
    {
        string name = _fit.NameOf(path, "bias");
        if (!_tensors.TryGetValue(name, out PlannedTensor? planned))
            _problems.Add($"'{path}' has lora_B.bias, but the checkpoint has no '{name}' that it could be added to");
        else if (!IsFloatingPoint(planned.Entry))
            _problems.Add($"'{name}' has the type {planned.Entry.Type.ToFileName()}, to which lora_B.bias cannot be added");
        else if (!planned.Entry.Shape.SequenceEqual(bias.Entry.Shape))
            _problems.Add($"tensor {bias.Entry.Name} has the shape {Text(bias.Entry)}, but '{name}' has {Text(planned.Entry)}");
        else
            planned.Updates.Add(new LowRankUpdate(_adapter.Weights, scale, bias.Entry.Name, null, LowRankKind.OutFirst));
    }

    // Which dimension of the weight is which, by the shapes of A and B; null where they do not fit it.
    private LowRankKind? KindOf(string path, FilePair a, FilePair b, SafetensorsEntry weight)
    {
        long[] down = [.. a.Entry.Shape], up = [.. b.Entry.Shape], shape = [.. weight.Shape];
        int rank = _adapter.Config.RankFor(path);
        if (down.Length >= 2 && up.Length >= 2 && down[0] == up[1] && down[0] != rank)
        {
            _problems.Add($"'{path}' has the rank {down[0]} in the file, but {rank} by the configuration, so that its scale is not known");
            return null;
        }
        bool pair = down.Length == shape.Length && up.Length == shape.Length && down[0] == rank && up[1] == rank && up.Skip(2).All(size => size == 1);
        if (a.IsEmbedding)
        {
            if (pair && shape.Length == 2 && shape[0] == down[1] && shape[1] == up[0]) return LowRankKind.InFirst;
        }
        else if (pair)
        {
            bool straight = shape[0] == up[0] && shape.Skip(1).SequenceEqual(down.Skip(1));
            bool turned = shape.Length == 2 && shape[0] == down[1] && shape[1] == up[0];
            if (straight && turned) return _base.IsTransposed(path, weight, _adapter.File.FanInFanOut) ? LowRankKind.InFirst : LowRankKind.OutFirst;
            if (straight || turned) return straight ? LowRankKind.OutFirst : LowRankKind.InFirst;
        }
        bool grouped = shape.Length > 2 && down.Length == shape.Length && down[1] > shape[1] && down[1] % shape[1] == 0;
        _problems.Add(grouped
            ? $"'{path}' is a convolution in {down[1] / shape[1]} groups, whose update is no kernel of such a convolution"
            : $"'{path}' has A {Text(a.Entry)} and B {Text(b.Entry)}, which do not fit '{weight.Name}', shape {Text(weight)}");
        return null;
    }

    private void AddOther(FilePair tensor)
    {
        string kind = tensor.Kind, module = ModuleOf(kind);
        if (kind.EndsWith(RowsKind, StringComparison.Ordinal)) AddRows(tensor, kind[..^RowsKind.Length]);
        else if (module.Length == 0 || module.Contains(".base_layer.", StringComparison.Ordinal)) _problems.Add($"unexpected tensor {tensor.Entry.Name}, shape {Text(tensor.Entry)}");
        else
        {
            string path = module.EndsWith(".base_layer", StringComparison.Ordinal) ? module[..^".base_layer".Length] : module, last = kind[(module.Length + 1)..];
            if (_mirrorsHead && path == ModuleOf(BaseCheckpoint.Head)) return;
            if (!IsAskedFor(path, last)) _problems.Add($"unexpected tensor {tensor.Entry.Name}: it has the name of a base weight, which the configuration does not say is saved with the adapter");
            else if (!_tensors.TryGetValue(_fit.NameOf(path, last), out PlannedTensor? planned)) _problems.Add($"unexpected tensor {tensor.Entry.Name}: the checkpoint has no tensor '{_fit.NameOf(path, last)}'");
            else if (!planned.Entry.Shape.SequenceEqual(tensor.Entry.Shape)) _problems.Add($"tensor {tensor.Entry.Name} has the shape {Text(tensor.Entry)}, but '{planned.Name}' has {Text(planned.Entry)}: the model was resized before it was trained, so that its configuration does not fit either");
            else if (!IsFloatingPoint(planned.Entry)) _problems.Add($"tensor {tensor.Entry.Name} has the type {tensor.Entry.Type.ToFileName()}, but '{planned.Name}' has {planned.Entry.Type.ToFileName()}, which holds no such numbers");
            else if (planned.Changes) _problems.Add($"tensor {tensor.Entry.Name} would take the place of '{planned.Name}', which another adapter changes too");
            else
            {
                planned.Replacement = (_adapter.Weights, tensor.Entry.Name);
                if (_mirrorsHead && planned.Entry == _base.Embedding && _base.HasHead) _tensors[BaseCheckpoint.Head].Replacement = planned.Replacement;
            }
        }
    }

    private void AddRows(FilePair tensor, string path)
    {
        string name = _fit.NameOf(path, "weight");
        SettingList<int>? indices = _adapter.Config.TrainableTokens?.Ordered.FirstOrDefault(rows => rows.Key.Length == 0 || SavedModules.Names(rows.Key, path)).Value;
        if (indices is null) _problems.Add($"unexpected tensor {tensor.Entry.Name}: trainable_token_indices does not name '{path}'");
        else if (!_tensors.TryGetValue(name, out PlannedTensor? planned)) _problems.Add($"'{path}' has trained rows, but the checkpoint has no tensor '{name}'");
        else if (planned.Entry.Shape.Length != 2 || tensor.Entry.Shape.Length != 2 || tensor.Entry.Shape[0] != indices.Count || tensor.Entry.Shape[1] != planned.Entry.Shape[1])
            _problems.Add($"tensor {tensor.Entry.Name} has the shape {Text(tensor.Entry)}, but {indices.Count} rows of '{name}', shape {Text(planned.Entry)}, are needed");
        else if (!IsFloatingPoint(planned.Entry)) _problems.Add($"tensor {tensor.Entry.Name} has the type {tensor.Entry.Type.ToFileName()}, but '{planned.Name}' has {planned.Entry.Type.ToFileName()}, which holds no such numbers");
        else if (indices.Any(index => index >= planned.Entry.Shape[0])) _problems.Add($"trainable_token_indices names row {indices.Max()} of '{name}', which has {planned.Entry.Shape[0]} rows");
        else if (planned.Rows.SelectMany(rows => rows.Indices).Intersect(indices).Any()) _problems.Add($"row {planned.Rows.SelectMany(rows => rows.Indices).Intersect(indices).First()} of '{name}' is one that another adapter has trained too");
        else
        {
            planned.Rows.Add(new RowReplacement(_adapter.Weights, tensor.Entry.Name, indices));
            // A head over the embedding's weight has the rows as well.
            if (_base.IsTied && planned.Entry == _base.Embedding && _tensors.TryGetValue(BaseCheckpoint.Head, out PlannedTensor? head)) head.Rows.Add(planned.Rows[^1]);
        }
    }

    // Whether the embedding and the head that shares its weight come apart.
    private bool PullsApart(AdapterFolder adapter)
    {
        IReadOnlyList<FilePair> tensors = FilePair.Of(adapter.Weights);
        PathFit fit = PathFit.Of(_base.Source, [.. tensors.Where(tensor => tensor.IsFactor).Select(tensor => tensor.Path)]);
        if (adapter.Config.EnsureWeightTying) return false;
        return tensors.Any(tensor =>
        {
            string path = tensor.IsFactor ? tensor.Path : ModuleOf(tensor.Kind);
            if (!tensor.IsFactor && tensor.Kind.EndsWith(RowsKind, StringComparison.Ordinal)) return false;
            if (path.EndsWith(".base_layer", StringComparison.Ordinal)) path = path[..^".base_layer".Length];
            return path.Length > 0 && (fit.NameOf(path, "weight") == _base.Embedding!.Name || path == ModuleOf(BaseCheckpoint.Head));
        });
    }

    private bool IsAskedFor(string path, string tensor) =>
        SavedModules.Holds(_adapter.Config.ModulesToSave, path)
        || (tensor == "bias" && _adapter.Config.Bias != BiasKind.None)
        || (tensor == "weight" && (CheckpointLayouts.UsualEmbeddings.Matches(path) || ModuleSelector.EndsWith("lm_head", "embed_out").Matches(path)));

    private static bool IsFloatingPoint(SafetensorsEntry entry) => entry.Type is SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64;

    private static string ModuleOf(string name) => name.LastIndexOf('.') is var dot and > 0 ? name[..dot] : "";

    private static string Text(SafetensorsEntry entry) => $"[{string.Join(", ", entry.Shape)}]";
}
