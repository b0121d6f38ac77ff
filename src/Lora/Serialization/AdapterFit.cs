using System.Text.RegularExpressions;
using Lora.Injection;
using Lora.Layers;
using Lora.Parts;
using Lora.Variants;
using static TorchSharp.torch;

namespace Lora.Serialization;

/// <summary>The tensors of an adapter's file, each found to belong to a planned layer; made only when every one does.</summary>
internal sealed partial class AdapterFit
{
    private const string Prefix = FileKeys.Prefix;

    private readonly SavedAdapter _saved;
    private readonly PreparedAdapter _prepared;
    private readonly bool _ignoresShapes;
    private readonly Dictionary<string, Tensor> _targets;
    private readonly Dictionary<string, string> _layers;
    private readonly Dictionary<string, double> _factors;
    private readonly Dictionary<string, long[]> _absent;
    private readonly Dictionary<string, MirroredTensor> _mirrors;
    private readonly Dictionary<string, string> _settings;
    private readonly Dictionary<string, AdapterTensor> _found = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _misfits = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];
    private readonly List<string> _report = [];

    private AdapterFit(SavedAdapter saved, PreparedAdapter prepared, bool ignoresShapes)
    {
        (_saved, _prepared, _ignoresShapes) = (saved, prepared, ignoresShapes);
        _targets = prepared.Adapters
            .SelectMany(layer => layer.Adapter.FileTensors.Select(tensor => KeyValuePair.Create(KeyOf(layer.Path, tensor.Key), (Tensor)tensor.Value)))
            .Concat(prepared.Parts.SelectMany(TensorsOf).Select(tensor => KeyValuePair.Create(Prefix + tensor.Key, tensor.Value)))
            .ToDictionary(StringComparer.Ordinal);
        _layers = prepared.Adapters
            .SelectMany(layer => layer.Adapter.FileTensors.Select(tensor => KeyValuePair.Create(KeyOf(layer.Path, tensor.Key), layer.Path)))
            .ToDictionary(StringComparer.Ordinal);
        // What is repeated belongs to the layer that has it.
        foreach (MirroredTensor mirror in prepared.Parts.SelectMany(part => part.Mirrors))
            if (_layers.TryGetValue(Prefix + mirror.Source, out string? layer)) _layers[Prefix + mirror.Key] = layer;
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

    /// <summary>Compares a file with what the layers of a plan need. Layers that the file does not fit, where that is allowed, are initialised.</summary>
    /// <exception cref="AdapterFormatException">They do not agree; every missing, unexpected, misshapen and unusable tensor is listed.</exception>
    internal static AdapterFit Of(SavedAdapter saved, InjectionPlan plan, PreparedAdapter prepared, bool ignoresShapes)
    {
        var fit = new AdapterFit(saved, prepared, ignoresShapes);
        fit._problems.AddRange(plan.Problems);
        fit._report.AddRange(saved.Remarks);
        if (plan.Layers.Count > 0) fit.Compare();
        if (fit._problems.Count > 0) throw new AdapterFormatException(saved.Path, fit._problems);
        fit.LeaveMisfits();
        fit._report.AddRange([.. plan.UnmatchedNames, .. plan.IdleExclusion, .. plan.UnusedPatterns, .. plan.Parts.Remarks]);
        if (saved.File?.FanInFanOut == true && prepared.Layers.FirstOrDefault(layer => layer.Layer is LoraLinear { IsTransposed: false }).Path is string plain)
            fit._report.Add($"fan_in_fan_out is true, but '{plain}' stores its weight as [out, in]; each layer's own layout counts");
        fit._report.AddRange(ConvolutionMark.Apply(saved.Metadata, prepared.Adapters));
        return fit;
    }

    /// <summary>The key under which PEFT saves a tensor of the layer at a path.</summary>
    /// <param name="path">The layer's path.</param>
    /// <param name="tensor">The tensor's name in the layer, such as <c>lora_A.weight</c>.</param>
    internal static string KeyOf(string path, string tensor) => $"{Prefix}{path}.{tensor}";

    /// <summary>Copies the tensors into the adapters.</summary>
    internal void Copy(DeviceTransfer transfer)
    {
        using var noGrad = no_grad();
        transfer.Fill(_targets.Select(target => (_found[target.Key], target.Value)));
        foreach ((string key, Tensor target) in _targets)
            if (_factors.TryGetValue(key, out double factor) && factor != 1) target.mul_(factor);
    }

    private void Compare()
    {
        bool named = false;
        foreach (AdapterTensor tensor in _saved.Tensors)
        {
            string key = tensor.Key;
            if (!_targets.ContainsKey(key) && WithoutAdapterName(key) is string bare && _targets.ContainsKey(bare))
            {
                if (!named) _report.Add($"the keys of {AdapterFolder.WeightsName} still hold the name of an adapter, as {tensor.Name} does");
                named = true;
                key = bare;
            }
            if (_targets.TryGetValue(key, out Tensor? target)) Compare(tensor, key, target.shape, target.is_floating_point() ? null : target.dtype);
            else if (_mirrors.TryGetValue(key, out MirroredTensor? mirror)) Compare(tensor, key, ShapeOf(mirror));
            else if (_absent.TryGetValue(key, out long[]? shape)) CompareAbsent(tensor, shape);
            else _problems.Add($"unexpected tensor {tensor.Name}, shape {Text(tensor.Shape)}: {Unexpected(key)}");
        }
        _problems.AddRange(_targets.Where(pair => !_found.ContainsKey(pair.Key)).Select(pair => $"missing tensor {_saved.NameOf(pair.Key)}, shape {Text(pair.Value.shape)}{AskedForBy(pair.Key)}"));
        _problems.AddRange(_mirrors.Where(pair => pair.Value.IsRequired && !_found.ContainsKey(pair.Key)).Select(pair => $"missing tensor {pair.Key}, shape {Text(ShapeOf(pair.Value))}, which ensure_weight_tying asks for"));
        // A file of which nothing fits is another model's.
        if (_misfits.Count > 0 && _targets.Keys.All(key => !_found.ContainsKey(key) || IsLeft(key))) _problems.AddRange(_misfits.Values);
        if (_problems.Count > 0) return;
        _problems.AddRange(_mirrors.Where(pair => _found.ContainsKey(pair.Key) && !IsLeft(pair.Key) && !IsLeft(Prefix + pair.Value.Source) && !IsRepeated(pair.Key, pair.Value)).Select(pair =>
            $"tensor {pair.Key} is not {(pair.Value.IsTransposed ? "the transpose of " : "")}{Prefix}{pair.Value.Source}, though ensure_weight_tying makes the two layers share it: they were trained apart, and only a model whose layers are not tied can have both"));
    }

    private long[] ShapeOf(MirroredTensor mirror)
    {
        long[] shape = _targets[Prefix + mirror.Source].shape;
        return mirror.IsTransposed ? [shape[1], shape[0]] : shape;
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> TensorsOf(AdapterPart part) =>
        part.FileTensors.Select(tensor => KeyValuePair.Create(tensor.Key, (Tensor)tensor.Value)).Concat(part.FileBuffers);

    private void Compare(AdapterTensor tensor, string key, long[] shape, ScalarType? whole = null)
    {
        if (!_found.TryAdd(key, tensor))
            _problems.Add($"tensor {_saved.NameOf(key)} is there twice, as {_found[key].Name} and as {tensor.Name}");
        else if (!tensor.Shape.SequenceEqual(shape))
            Misfit(key, $"tensor {tensor.Name} has the shape {Text(tensor.Shape)}, but {Text(shape)} is needed");
        else if (whole is ScalarType type && tensor.Type.ToScalarType() != type)
            _problems.Add($"tensor {tensor.Name} has the type {tensor.Type}, but {type} is needed"); // A buffer that counts, such as a norm's num_batches_tracked.
        else if (whole is null && tensor.Type is not (SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64))
            _problems.Add($"tensor {tensor.Name} has the type {tensor.Type}, but a floating-point type (F16, BF16, F32 or F64) is needed");
        else if (whole is null && !tensor.IsFinite)
            _problems.Add($"tensor {tensor.Name} holds a NaN or an infinity");
    }

    private void Misfit(string key, string problem)
    {
        if (_ignoresShapes) _misfits.Add(key, problem);
        else _problems.Add(problem);
    }

    // A layer is taken whole or not at all: half of a file's pair beside half of a fresh one would be noise.
    private bool IsLeft(string key) =>
        _misfits.ContainsKey(key) || (_layers.TryGetValue(key, out string? layer) && _misfits.Keys.Any(misfit => _layers.GetValueOrDefault(misfit) == layer));

    private void LeaveMisfits()
    {
        foreach (string path in _misfits.Keys.Select(_layers.GetValueOrDefault).OfType<string>().Distinct()) _prepared.Renew(path);
        _report.AddRange(_misfits.Select(misfit => misfit.Value + (_layers.TryGetValue(misfit.Key, out string? path)
            ? $"; '{path}' keeps a fresh adapter, which adds nothing"
            : $"; the model's own values stay in its place")));
        foreach (string key in _targets.Keys.Where(IsLeft).ToList()) _targets.Remove(key);
    }

    private bool IsRepeated(string key, MirroredTensor mirror)
    {
        using var scope = NewDisposeScope();
        Tensor source = _found[Prefix + mirror.Source].Read();
        return _found[key].Read().eq(mirror.IsTransposed ? source.t() : source).all().item<bool>();
    }

    // PEFT knows only layers of which every weight is adapted. What is left out here stands in a file as zeros.
    private void CompareAbsent(AdapterTensor tensor, long[] shape)
    {
        if (!tensor.Shape.SequenceEqual(shape))
            _problems.Add($"tensor {tensor.Name} has the shape {Text(tensor.Shape)}, but {Text(shape)} is needed");
        else if (!tensor.IsZero())
            _problems.Add($"tensor {tensor.Name} is not zero, but target_modules and exclude_modules leave that weight out");
    }

    private string AskedForBy(string key) => (_settings.GetValueOrDefault(key) ?? LoraVariantKind.WithTensor(key)?.Setting) is string setting ? $", which {setting} asks for" : "";

    // A variant's tensor beside those of a layer that is adapted without the variant.
    private string Unexpected(string key)
    {
        bool adapted = LoraVariantKind.WithTensor(key) is not null && _targets.Keys.Any(target => target.StartsWith(key[..(key.LastIndexOf('.') + 1)], StringComparison.Ordinal));
        return adapted
            ? $"it belongs to {LoraVariantKind.WithTensor(key)!.Title}, which the configuration does not ask for; {LoraVariantKind.WithTensor(key)!.SettingHint} if it was trained so"
            : "the model has no adapted layer for it under this configuration";
    }

    private static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";

    private static string? WithoutAdapterName(string key) =>
        WithAdapterName().Match(key) is { Success: true } match ? match.Groups["layer"].Value + match.Groups["tensor"].Value : null;

    [GeneratedRegex(@"^(?:(?<layer>.*\.lora_[AB])\.[^.]+(?<tensor>\.(?:weight|bias))|(?<layer>.*\.lora_embedding_[AB])\.[^.]+|(?<layer>.*\.(?:lora_magnitude_vector|lora_diag))\.[^.]+(?:\.weight)?)$", RegexOptions.CultureInvariant)]
    private static partial Regex WithAdapterName();
}
