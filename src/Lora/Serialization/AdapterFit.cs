using System.Text.RegularExpressions;
using Lora.Injection;
using Lora.Layers;
using Lora.Parts;
using static TorchSharp.torch;

namespace Lora.Serialization;

/// <summary>The tensors of an adapter's file, each found to belong to a planned layer; made only when every one does.</summary>
internal sealed partial class AdapterFit
{
    private const string Prefix = FileKeys.Prefix;

    private readonly AdapterFolder _folder;
    private readonly Dictionary<string, Tensor> _targets;
    private readonly Dictionary<string, double> _factors;
    private readonly Dictionary<string, long[]> _absent;
    private readonly Dictionary<string, MirroredTensor> _mirrors;
    private readonly Dictionary<string, string> _settings;
    private readonly Dictionary<string, SafetensorsEntry> _found = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];
    private readonly List<string> _report = [];

    private AdapterFit(AdapterFolder folder, PreparedAdapter prepared)
    {
        _folder = folder;
        _targets = prepared.Adapters
            .SelectMany(layer => layer.Adapter.FileTensors.Select(tensor => KeyValuePair.Create(KeyOf(layer.Path, tensor.Key), (Tensor)tensor.Value)))
            .Concat(prepared.Parts.SelectMany(TensorsOf).Select(tensor => KeyValuePair.Create(Prefix + tensor.Key, tensor.Value)))
            .ToDictionary(StringComparer.Ordinal);
        _absent = prepared.Adapters
            .SelectMany(layer => layer.Adapter.Absent.Select(tensor => KeyValuePair.Create(KeyOf(layer.Path, tensor.Key), tensor.Value)))
            .ToDictionary(StringComparer.Ordinal);
        _factors = prepared.Adapters
            .SelectMany(layer => layer.Adapter.FileTensors.Select(tensor => KeyValuePair.Create(KeyOf(layer.Path, tensor.Key), layer.Adapter.FileFactor(tensor.Key))))
            .ToDictionary(StringComparer.Ordinal);
        _mirrors = prepared.Parts.SelectMany(part => part.Mirrors).ToDictionary(mirror => Prefix + mirror.Key, StringComparer.Ordinal);
        _settings = prepared.Parts.SelectMany(part => TensorsOf(part).Select(tensor => KeyValuePair.Create(Prefix + tensor.Key, part.Setting))).ToDictionary(StringComparer.Ordinal);
    }

    /// <summary>What was accepted though unusual.</summary>
    internal IReadOnlyList<string> Report => _report;

    /// <summary>Compares a file with what the layers of a plan need.</summary>
    /// <exception cref="AdapterFormatException">They do not agree; every missing, unexpected, misshapen and unusable tensor is listed.</exception>
    internal static AdapterFit Of(AdapterFolder folder, InjectionPlan plan, PreparedAdapter prepared)
    {
        var fit = new AdapterFit(folder, prepared);
        fit._problems.AddRange(plan.Problems);
        if (plan.Layers.Count > 0) fit.Compare();
        if (fit._problems.Count > 0) throw new AdapterFormatException(folder.Path, fit._problems);
        fit._report.AddRange([.. folder.File.Remarks, .. plan.UnmatchedNames, .. plan.IdleExclusion, .. plan.UnusedPatterns, .. plan.Parts.Remarks]);
        if (folder.File.FanInFanOut && prepared.Layers.FirstOrDefault(layer => layer.Layer is LoraLinear { IsTransposed: false }).Path is string plain)
            fit._report.Add($"fan_in_fan_out is true, but '{plain}' stores its weight as [out, in]; each layer's own layout counts");
        fit._report.AddRange(ConvolutionMark.Apply(folder.Weights.Metadata, prepared.Adapters));
        return fit;
    }

    /// <summary>The key under which PEFT saves a tensor of the layer at a path.</summary>
    /// <param name="path">The layer's path.</param>
    /// <param name="tensor">The tensor's name in the layer, such as <c>lora_A.weight</c>.</param>
    internal static string KeyOf(string path, string tensor) => $"{Prefix}{path}.{tensor}";

    /// <summary>Copies the tensors into the adapters.</summary>
    internal void Copy()
    {
        using var noGrad = no_grad();
        foreach ((string key, Tensor target) in _targets)
        {
            _folder.Weights.CopyTo(_found[key].Name, target);
            if (_factors.TryGetValue(key, out double factor) && factor != 1) target.mul_(factor);
        }
    }

    private void Compare()
    {
        IReadOnlyCollection<SafetensorsEntry> entries = _folder.Weights.Entries;
        bool prefixed = entries.Count == 0 || entries.Any(entry => entry.Name.StartsWith(Prefix, StringComparison.Ordinal));
        if (!prefixed) _report.Add($"the keys of {AdapterFolder.WeightsName} lack PEFT's prefix {Prefix}");

        bool named = false;
        foreach (SafetensorsEntry entry in entries)
        {
            string key = prefixed ? entry.Name : Prefix + entry.Name;
            if (!_targets.ContainsKey(key) && WithoutAdapterName(key) is string bare && _targets.ContainsKey(bare))
            {
                if (!named) _report.Add($"the keys of {AdapterFolder.WeightsName} still hold the name of an adapter, as {entry.Name} does");
                named = true;
                key = bare;
            }
            if (_targets.TryGetValue(key, out Tensor? target)) Compare(entry, key, target.shape, target.is_floating_point() ? null : target.dtype);
            else if (_mirrors.TryGetValue(key, out MirroredTensor? mirror)) Compare(entry, key, ShapeOf(mirror));
            else if (_absent.TryGetValue(key, out long[]? shape)) CompareAbsent(entry, shape);
            else _problems.Add($"unexpected tensor {entry.Name}, shape {Text(entry.Shape)}: the model has no adapted layer for it under this configuration");
        }
        _problems.AddRange(_targets.Where(pair => !_found.ContainsKey(pair.Key)).Select(pair => $"missing tensor {pair.Key}, shape {Text(pair.Value.shape)}{AskedForBy(pair.Key)}"));
        _problems.AddRange(_mirrors.Where(pair => pair.Value.IsRequired && !_found.ContainsKey(pair.Key)).Select(pair => $"missing tensor {pair.Key}, shape {Text(ShapeOf(pair.Value))}, which ensure_weight_tying asks for"));
        if (_problems.Count > 0) return;
        _problems.AddRange(_mirrors.Where(pair => _found.ContainsKey(pair.Key) && !IsRepeated(pair.Key, pair.Value)).Select(pair =>
            $"tensor {pair.Key} is not {(pair.Value.IsTransposed ? "the transpose of " : "")}{Prefix}{pair.Value.Source}, though ensure_weight_tying makes the two layers share it: they were trained apart, and only a model whose layers are not tied can have both"));
    }

    private long[] ShapeOf(MirroredTensor mirror)
    {
        long[] shape = _targets[Prefix + mirror.Source].shape;
        return mirror.IsTransposed ? [shape[1], shape[0]] : shape;
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> TensorsOf(AdapterPart part) =>
        part.FileTensors.Select(tensor => KeyValuePair.Create(tensor.Key, (Tensor)tensor.Value)).Concat(part.FileBuffers);

    private void Compare(SafetensorsEntry entry, string key, long[] shape, ScalarType? whole = null)
    {
        if (!_found.TryAdd(key, entry))
            _problems.Add($"tensor {key} is there twice, as {_found[key].Name} and as {entry.Name}");
        else if (!entry.Shape.SequenceEqual(shape))
            _problems.Add($"tensor {entry.Name} has the shape {Text(entry.Shape)}, but {Text(shape)} is needed");
        else if (whole is ScalarType type && entry.Type.ToScalarType() != type)
            _problems.Add($"tensor {entry.Name} has the type {entry.Type}, but {type} is needed"); // A buffer that counts, such as a norm's num_batches_tracked.
        else if (whole is null && entry.Type is not (SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64))
            _problems.Add($"tensor {entry.Name} has the type {entry.Type}, but a floating-point type (F16, BF16, F32 or F64) is needed");
        else if (!IsFinite(entry))
            _problems.Add($"tensor {entry.Name} holds a NaN or an infinity");
    }

    private bool IsRepeated(string key, MirroredTensor mirror)
    {
        using var scope = NewDisposeScope();
        Tensor source = _folder.Weights.ReadTensor(_found[Prefix + mirror.Source].Name);
        return _folder.Weights.ReadTensor(_found[key].Name).eq(mirror.IsTransposed ? source.t() : source).all().item<bool>();
    }

    // PEFT knows only layers of which every weight is adapted. What is left out here stands in a file as zeros.
    private void CompareAbsent(SafetensorsEntry entry, long[] shape)
    {
        using var scope = NewDisposeScope();
        if (!entry.Shape.SequenceEqual(shape))
            _problems.Add($"tensor {entry.Name} has the shape {Text(entry.Shape)}, but {Text(shape)} is needed");
        else if (_folder.Weights.ReadTensor(entry.Name).count_nonzero().item<long>() != 0)
            _problems.Add($"tensor {entry.Name} is not zero, but target_modules and exclude_modules leave that weight out");
    }

    private bool IsFinite(SafetensorsEntry entry)
    {
        using var scope = NewDisposeScope();
        return _folder.Weights.ReadTensor(entry.Name).isfinite().all().item<bool>();
    }

    private string AskedForBy(string key) => _settings.TryGetValue(key, out string? setting) ? $", which {setting} asks for" : "";

    private static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";

    private static string? WithoutAdapterName(string key) =>
        WithAdapterName().Match(key) is { Success: true } match ? match.Groups["layer"].Value + match.Groups["tensor"].Value : null;

    [GeneratedRegex(@"^(?:(?<layer>.*\.lora_[AB])\.[^.]+(?<tensor>\.(?:weight|bias))|(?<layer>.*\.lora_embedding_[AB])\.[^.]+)$", RegexOptions.CultureInvariant)]
    private static partial Regex WithAdapterName();
}
