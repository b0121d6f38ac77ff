using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// One pass through an adapted attention. Forward runs the native layer on W + ΔW without a graph. Backward runs it again with one, takes the gradient
/// G of each adapted weight, and from it those of its pairs: dA = s·Bᵀ·G, dB = s·G·Aᵀ.
/// </summary>
internal sealed class AttentionPass
{
    private readonly LoraMultiheadAttention _layer;
    private readonly Func<Tensor, Tensor, Tensor, Tensor, bool, Tensor, Tuple<Tensor, Tensor>> _run;
    private readonly bool _needsWeights;
    private readonly AttentionUpdate[] _updates;
    private readonly LoraAdapter[] _adapters;
    private readonly LoraAdapter[] _merged;
    private readonly string[] _trainedBase;
    private readonly RandomMoment? _random;
    private bool _hasPadding;
    private bool _hasMask;
    private bool[] _needsGradient = [];
    private Tensor _noWeights = null!;

    /// <param name="layer">The layer.</param>
    /// <param name="adapters">The adapters that take part.</param>
    /// <param name="run">Runs the base layer.</param>
    /// <param name="needsWeights">Whether the attention's weights are an output.</param>
    internal AttentionPass(
        LoraMultiheadAttention layer, LoraAdapter[] adapters, Func<Tensor, Tensor, Tensor, Tensor, bool, Tensor, Tuple<Tensor, Tensor>> run, bool needsWeights)
    {
        _layer = layer;
        _adapters = adapters;
        _run = run;
        _needsWeights = needsWeights;
        _updates = [.. adapters.SelectMany(AttentionUpdate.Of)];
        _merged = [.. layer.Adapters.Merged];
        _trainedBase = [.. layer.BaseLayer.named_parameters().Where(p => p.parameter.requires_grad).Select(p => p.name)];
        // The probability of dropout is known to the native layer alone.
        if (layer.BaseLayer.training && (is_grad_enabled() || RandomMoment.IsRepeated)) _random = new RandomMoment(Weight(LoraMultiheadAttention.OutProjection).device_type);
    }

    internal Tuple<Tensor, Tensor> Run(Tensor query, Tensor key, Tensor value, Tensor? padding, Tensor? mask)
    {
        Tensor[] trained = [.. BaseParameters(), .. _updates.SelectMany(update => new Tensor[] { update.A, update.B })];
        if (!is_grad_enabled() || !new[] { query, key, value, mask }.Concat(trained).Any(tensor => tensor is { requires_grad: true }))
        {
            _random?.Begin();
            using var weights = new TemporaryWeights(Changes());
            return _run(query, key, value, padding!, _needsWeights, mask!);
        }
        _hasPadding = padding is not null;
        _hasMask = mask is not null;
        List<Tensor> outputs = AttentionFunction.apply([this, query, key, value, .. new[] { padding, mask }.OfType<Tensor>(), .. trained]);
        return Tuple.Create(outputs[0], _needsWeights ? outputs[1] : _noWeights);
    }

    /// <param name="arguments">Query, key, value, the masks that there are, the base parameters that train, and A and B of each update.</param>
    /// <returns>The outputs, and what backward needs.</returns>
    internal (List<Tensor> Outputs, List<Tensor> Saved) Forward(Tensor[] arguments)
    {
        _needsGradient = [.. arguments.Select(argument => argument.requires_grad)];
        int pairs = arguments.Length - (2 * _updates.Length);
        List<Tensor> saved = [.. arguments[..FirstBase], .. arguments[pairs..]];
        _random?.Begin();
        using var weights = new TemporaryWeights(Changes());
        (Tensor output, Tensor attention) = _run(arguments[0], arguments[1], arguments[2], Padding(arguments)!, _needsWeights, Mask(arguments)!);
        if (_needsWeights) return ([output, attention], saved);
        _noWeights = attention;
        return ([output], saved);
    }

    /// <returns>The gradient of each of Forward's arguments; null where there is none.</returns>
    internal List<Tensor> Backward(List<Tensor> saved, List<Tensor> gradients)
    {
        using var grad = enable_grad();
        Tensor[] inputs = [.. Enumerable.Range(0, FirstBase).Select(i => _needsGradient[i] ? saved[i].detach().requires_grad_() : saved[i].detach())];
        Tensor[] trained = [.. inputs.Where((_, i) => _needsGradient[i]), .. BaseParameters()];
        string[] parts = [.. _updates.Select(update => update.Part).Distinct()];
        Tensor[] weights = [.. parts.Select(Weight)];
        Tensor[] found = new Tensor[trained.Length + weights.Length];
        bool[] frozen = [.. weights.Select(weight => !weight.requires_grad)];
        using (new TemporaryWeights(Changes()))
        using (_random?.Replay())
        {
            foreach (Tensor weight in weights) weight.requires_grad = true;
            try
            {
                (Tensor output, Tensor attention) = _run(inputs[0], inputs[1], inputs[2], Padding(inputs)!, _needsWeights, Mask(inputs)!);
                (Tensor Of, Tensor With)[] used = [.. new[] { output, attention }.Zip(gradients).Where(pair => !pair.Second.IsInvalid && pair.First.requires_grad)];
                if (used.Length > 0) autograd.grad([.. used.Select(pair => pair.Of)], [.. trained, .. weights], [.. used.Select(pair => pair.With)], allow_unused: true).CopyTo(found, 0);
            }
            finally
            {
                for (int i = 0; i < weights.Length; i++)
                    if (frozen[i]) weights[i].requires_grad = false;
            }
        }
        return Distributed(saved, found, trained.Length, parts);
    }

    private List<Tensor> Distributed(List<Tensor> saved, Tensor[] found, int weightsFrom, string[] parts)
    {
        using var noGrad = no_grad();
        var answer = new List<Tensor>();
        int next = 0;
        for (int i = 0; i < FirstBase; i++) answer.Add(_needsGradient[i] ? found[next++] : null!);
        foreach (string _ in _trainedBase) answer.Add(found[next++]);
        int from = FirstBase + _trainedBase.Length;
        for (int i = 0; i < _updates.Length; i++)
        {
            Tensor? weight = found[weightsFrom + Array.IndexOf(parts, _updates[i].Part)];
            Tensor a = saved[FirstBase + (2 * i)], b = saved[FirstBase + (2 * i) + 1];
            Tensor? scaled = weight is { IsInvalid: false } ? weight.to(a.dtype).mul(_updates[i].Scale) : null;
            answer.Add(scaled is not null && _needsGradient[from + (2 * i)] ? b.t().mm(scaled) : null!);
            answer.Add(scaled is not null && _needsGradient[from + (2 * i) + 1] ? scaled.mm(a.t()) : null!);
        }
        return answer;
    }

    // What makes the weights those of this pass, also when adapters have been merged or unmerged between its forward and its backward.
    private IEnumerable<(WeightChange Change, double Factor)> Changes()
    {
        IReadOnlyList<LoraAdapter> now = _layer.Adapters.Merged;
        foreach (AttentionUpdate update in _updates.Where(update => !now.Contains(update.Owner)))
            yield return (WeightChange.Product(Weight(update.Part), update.B, update.A, update.Scale), 1);
        foreach (LoraAdapter gone in _merged.Except(now))
            foreach (WeightChange change in _layer.ChangesOf(gone)) yield return (change, 1);
        foreach (LoraAdapter come in now.Except(_merged).Except(_adapters))
            foreach (WeightChange change in _layer.ChangesOf(come)) yield return (change, -1);
    }

    private int FirstBase => 3 + (_hasPadding ? 1 : 0) + (_hasMask ? 1 : 0);

    private Tensor? Padding(Tensor[] arguments) => _hasPadding ? arguments[3] : null;

    private Tensor? Mask(Tensor[] arguments) => _hasMask ? arguments[_hasPadding ? 4 : 3] : null;

    private Parameter Weight(string part) => LoraMultiheadAttention.WeightOf(_layer.BaseLayer, part);

    private IEnumerable<Parameter> BaseParameters()
    {
        Dictionary<string, Parameter> all = _layer.BaseLayer.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        return _trainedBase.Select(name => all[name]);
    }
}
