using Lora.Conversion;
using Lora.Serialization;

namespace Lora.Llm.Export;

/// <summary>What of an adapter goes where in a GGUF file, and everything that has no place there.</summary>
internal sealed class GgufAdapterPlan
{
    private readonly AdapterFolder _adapter;
    private readonly GgufFamily _family;
    private readonly GgufBaseCopies _copies;
    private readonly List<string> _problems = [];
    private readonly List<GgufAdapterLayer> _layers = [];
    private bool _saysWhy;

    private GgufAdapterPlan(AdapterFolder adapter, GgufFamily family, GgufBaseCopies copies)
    {
        _adapter = adapter;
        _family = family;
        _copies = copies;
    }

    /// <summary>The layers, in the order of the family's parts.</summary>
    /// <exception cref="AdapterFormatException">The adapter has what the format cannot carry, or does not fit the base; everything is listed.</exception>
    internal static IReadOnlyList<GgufAdapterLayer> Of(AdapterFolder adapter, GgufFamily family, GgufBaseCopies copies)
    {
        var plan = new GgufAdapterPlan(adapter, family, copies);
        IReadOnlyList<FilePair> tensors = FilePair.Of(adapter.Weights);
        plan._problems.AddRange(AdapterScaling.Problems(adapter, tensors));
        plan.CheckSettings();
        plan._saysWhy = plan._problems.Count > 0;
        foreach (FilePair tensor in tensors) plan.CheckTensor(tensor);
        foreach (IGrouping<string, FilePair> layer in tensors.Where(tensor => tensor.IsFactor).GroupBy(tensor => tensor.Path, StringComparer.Ordinal)) plan.AddLayer(layer.Key, [.. layer]);
        if (plan._problems.Count == 0 && plan._layers.Count == 0) plan._problems.Add("it holds no tensor");
        if (plan._problems.Count > 0) throw new AdapterFormatException(adapter.Path, plan._problems);
        List<GgufPlace> order = [.. family.Places.Values];
        return [.. plan._layers.OrderBy(layer => order.IndexOf(layer.Place))];
    }

    private void CheckSettings()
    {
        LoraConfig config = _adapter.Config;
        Refuse(config.UseDora, "use_dora is true: the format has no magnitudes");
        Refuse(config.BlockDiagonal is not null, "use_bdlora is set: the format has whole factors alone");
        Refuse(config.Kasa is not null, "kasa_config is set: the format has no diagonal between the factors, and the base is another");
        Refuse(config.UseLoraBias, "lora_bias is true: the format has no biases");
        Refuse(config.Bias != BiasKind.None, $"bias is \"{PeftConfigFields.Biases[(int)config.Bias]}\": the format has no biases");
        Refuse(config.ModulesToSave.Count > 0, $"modules_to_save is set ({string.Join(", ", config.ModulesToSave)}): the format has no whole weights");
        Refuse(config.TrainableTokens is not null, "trainable_token_indices is set: the format has no rows of an embedding");
        Refuse(config.LayerReplication.Count > 0, "layer_replication is set: the base has other layers");
        Refuse(config.TargetParameters is not null, $"target_parameters is set ({config.TargetParameters}): which of a file's tensors belongs to which parameter only the model tells");
    }

    private void CheckTensor(FilePair tensor)
    {
        SafetensorsEntry entry = tensor.Entry;
        bool isRead = tensor.IsDown || (tensor.IsUp && tensor.Kind != "lora_B.bias");
        if (!isRead)
        {
            if (_adapter.Config.ModulesToSave.Count == 0 && _copies.Holds(tensor))
            {
                if (_copies.ProblemOf(_adapter.Weights, tensor) is string problem) _problems.Add(problem);
            }
            // The settings have said what most of the others are.
            else Refuse(!_saysWhy, $"tensor {entry.Name} is no factor of a layer, and the format has nothing else");
            return;
        }
        bool isNumber = entry.Type is SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64;
        Refuse(!isNumber, $"tensor {entry.Name} has the type {entry.Type.ToFileName()}, but a floating-point type (F16, BF16, F32 or F64) is needed");
        Refuse(isNumber && !FiniteNumbers.Are(_adapter.Weights, entry), $"tensor {entry.Name} holds a NaN or an infinity");
    }

    private void AddLayer(string path, FilePair[] tensors)
    {
        FilePair? a = tensors.FirstOrDefault(tensor => tensor.IsDown), b = tensors.FirstOrDefault(tensor => tensor.IsUp && tensor.Kind != "lora_B.bias");
        if (tensors[0].IsNested) _problems.Add($"'{path}' is a weight inside another layer's wrapper, of which a file does not tell what it is");
        else if (a is null || b is null || a.IsEmbedding != b.IsEmbedding) _problems.Add($"'{path}' has {string.Join(", ", tensors.Select(tensor => tensor.Kind))} only: a pair of A and B is needed");
        else if (!_family.Places.TryGetValue(_family.Bare(path), out GgufPlace? place)) _problems.Add($"'{path}' is no layer of this {_family.Architecture}");
        else if (ProblemOf(path, place, a.IsEmbedding) is string problem) _problems.Add(problem);
        else if (Misfit(path, place, a, b) is string misfit) _problems.Add(misfit);
        else _layers.Add(new GgufAdapterLayer(place, a.Entry, b.Entry, AdapterScaling.ScaleOf(_adapter.Config, path)));
    }

    private string? ProblemOf(string path, GgufPlace place, bool isEmbedding)
    {
        if (_family.IsTied && place.Name == "output") return $"'{path}' is the output head, which shares the token embedding's weight: llama.cpp has no such tensor, so that it cannot have an adapter of its own";
        // It would take the embedding's A and B for those of the head, whose shapes are the other way round.
        if (_family.IsTied && place.Name == "token_embd") return $"'{path}' is the token embedding, which is the output head as well: llama.cpp would apply the adapter there too";
        if (place.IsTable && place.Name != "token_embd") return $"'{path}' is a table of positions, to which llama.cpp applies no adapter";
        if (place.IsTable != isEmbedding) return $"'{path}' is {(place.IsTable ? "an embedding" : "a linear layer")}, but its adapter is that of {(isEmbedding ? "an embedding" : "a linear layer")}";
        return place.Shape.Count == 2 ? null : $"'{path}' is a norm, which can have no adapter";
    }

    private string? Misfit(string path, GgufPlace place, FilePair a, FilePair b)
    {
        int rank = _adapter.Config.RankFor(path);
        long[] down = [.. a.Entry.Shape], up = [.. b.Entry.Shape];
        (long outputs, long inputs) = place.IsTable ? (place.Shape[1], place.Shape[0]) : (place.Shape[0], place.Shape[1]);
        if (down.Length == 2 && up.Length == 2 && down[0] == up[1] && down[0] != rank) return $"'{path}' has the rank {down[0]} in the file, but {rank} by the configuration, so that its scale is not known";
        return down.SequenceEqual([rank, inputs]) && up.SequenceEqual([outputs, rank])
            ? null
            : $"'{path}' has A [{string.Join(", ", down)}] and B [{string.Join(", ", up)}], but the base needs [{rank}, {inputs}] and [{outputs}, {rank}]";
    }

    private void Refuse(bool isRefused, string reason)
    {
        if (isRefused) _problems.Add(reason);
    }
}
