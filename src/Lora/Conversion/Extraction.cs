using Lora.Injection;
using Lora.Parts;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>One extraction: two models, tensor by tensor.</summary>
internal sealed class Extraction(ModelTensors before, ModelTensors after, TargetChoice targets, ExtractionOptions options)
{
    private readonly List<ExtractedLayer> _layers = [];
    private readonly List<string> _unchanged = [];
    private readonly List<TensorDifference> _untargeted = [];
    private readonly List<string> _problems = [];
    private readonly Dictionary<string, Tensor> _tensors = new(StringComparer.Ordinal);
    private bool _hasTransposed, _hasConvolution;

    /// <summary>Compares the models and writes the adapter.</summary>
    /// <param name="folder">Where.</param>
    /// <param name="model">A model of that kind, where one is known: the adapter must fit it.</param>
    /// <exception cref="ArgumentException">There is nothing to save, or something that cannot be.</exception>
    internal ExtractionResult Run(string folder, nn.Module? model)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (string name in before.Names) Compare(name);
        _untargeted.AddRange(after.Names.Where(name => !before.Has(name)).Select(name => new TensorDifference(name, DifferenceKind.OnlyInTuned)));
        if (_problems.Count == 0 && _layers.Count == 0) _problems.Add($"none of the {_unchanged.Count} targets differs between {before.Name} and {after.Name}");
        if (options.Untargeted == UntargetedDifferences.Refuse) _problems.AddRange(_untargeted.Select(difference => $"'{difference.Name}' {UntargetedSaving.Text(difference.Kind)} and is no target's weight"));
        ThrowIf(_problems);

        LoraConfig config = ExactConfig.Of(
            new LoraConfig { TargetModules = options.TargetModules, BaseModelNameOrPath = options.BaseModelNameOrPath, TaskType = options.TaskType },
            [.. _layers.Select(layer => (layer.Path, layer.Rank, (double)layer.Rank))], targets.Paths);
        IReadOnlyList<TensorDifference> untargeted = _untargeted;
        if (options.Untargeted == UntargetedDifferences.Save)
        {
            var adapted = _layers.Select(layer => layer.Path).ToHashSet(StringComparer.Ordinal);
            UntargetedSaving saving = UntargetedSaving.Of(_untargeted, adapted, after, targets.Paths);
            ThrowIf(saving.Problems);
            foreach ((string key, string name) in saving.Tensors(adapted, after)) _tensors.Add(FileKeys.Prefix + key, after.Read(name));
            config = config with { Bias = saving.Bias, ModulesToSave = saving.Modules };
            untargeted = saving.Saved;
        }
        // Such as a full copy of an embedding whose weight the output head shares.
        if (model is not null) ThrowIf(InjectionPlan.Make(model, config, new WrapOptions(), new FileKeys(_tensors.Keys)).Problems);
        // A kernel's difference means the layer's own dilation and padding mode.
        AdapterFolder.Save(folder, FileOf(config, model), _tensors, _hasConvolution ? [new(ConvolutionMark.Key, ConvolutionMark.Value)] : []);
        return new ExtractionResult(folder, config, _layers, _unchanged, untargeted);
    }

    internal static void ThrowIf(IReadOnlyCollection<string> problems)
    {
        if (problems.Count > 0) throw new ArgumentException($"No adapter can be extracted:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}");
    }

    private void Compare(string name)
    {
        using var scope = NewDisposeScope();
        if (!after.Has(name)) _untargeted.Add(new TensorDifference(name, DifferenceKind.OnlyInBase));
        else if (!after.ShapeOf(name)!.SequenceEqual(before.ShapeOf(name)!)) _untargeted.Add(new TensorDifference(name, DifferenceKind.Shape));
        else Compare(name, before.Read(name).to(ScalarType.Float64), after.Read(name).to(ScalarType.Float64));
    }

    private void Compare(string name, Tensor old, Tensor changed)
    {
        if (changed.device != old.device) changed = changed.to(old.device);
        Tensor delta = changed.sub(old);
        double squares = delta.square().sum().item<double>();
        bool isTarget = targets.TryFind(name, out (string Path, WeightLayout Layout) target);
        if (!double.IsFinite(squares)) _problems.Add($"'{name}' holds a NaN or an infinity in one of the models, or numbers whose squares float64 cannot hold");
        else if (isTarget && squares == 0) _unchanged.Add(target.Path);
        else if (isTarget && _problems.Count == 0) Decompose(target.Path, target.Layout, delta);
        else if (!isTarget && squares > 0) _untargeted.Add(new TensorDifference(name, DifferenceKind.Values, Math.Sqrt(squares), Math.Sqrt(squares / old.square().sum().item<double>())));
    }

    private void Decompose(string path, WeightLayout layout, Tensor delta)
    {
        Decomposition found = Decomposition.Of(layout.ToMatrix(delta), options);
        foreach ((string key, Tensor tensor) in layout.Tensors(found.A, found.B, delta.shape)) _tensors.Add(AdapterFit.KeyOf(path, key), tensor.cpu().contiguous().MoveToOuterDisposeScope());
        _layers.Add(new ExtractedLayer(path, (int)found.A.shape[0], found.Norm, found.Error, found.EnergyKept));
        _hasTransposed |= layout == WeightLayout.Transposed;
        _hasConvolution |= layout.IsConvolution;
    }

    private PeftAdapterConfig FileOf(LoraConfig config, nn.Module? model) =>
        model is null ? PeftAdapterConfig.From(config, _hasTransposed) : PeftAdapterConfig.From(config, model.GetType(), _hasTransposed);
}
