using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>The pairs of a file that names down- and up-projections layer by layer and has no settings: rank and alpha are in the tensors.</summary>
/// <param name="file">The file.</param>
internal sealed class FoundPairs(SafetensorsFile file)
{
    private readonly OrderedDictionary<string, Dictionary<PairTensor, SafetensorsEntry>> _layers = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];
    private readonly List<string> _remarks = [];

    /// <summary>What is wrong so far.</summary>
    internal IReadOnlyList<string> Problems => _problems;

    internal IReadOnlyList<string> Remarks => _remarks;

    /// <summary>Whether a layer's B has a bias.</summary>
    internal bool HasBias => _layers.Values.Any(layer => layer.ContainsKey(PairTensor.Bias));

    /// <summary>Whether a layer has its own alpha.</summary>
    internal bool HasAlpha => _layers.Values.Any(layer => layer.ContainsKey(PairTensor.Alpha));

    internal void Add(string path, PairTensor kind, SafetensorsEntry entry)
    {
        if (!_layers.TryGetValue(path, out Dictionary<PairTensor, SafetensorsEntry>? layer)) _layers.Add(path, layer = []);
        if (!layer.TryAdd(kind, entry)) _problems.Add($"tensors {layer[kind].Name} and {entry.Name} are both for '{path}'");
    }

    internal void Refuse(string problem) => _problems.Add(problem);

    internal void Remark(string remark) => _remarks.Add(remark);

    /// <summary>The layers with their ranks and alphas; what is incomplete becomes a problem and is left out.</summary>
    internal IReadOnlyList<(string Path, int Rank, double Alpha)> Complete()
    {
        var complete = new List<(string, int, double)>();
        foreach ((string path, Dictionary<PairTensor, SafetensorsEntry> layer) in _layers)
        {
            if (!layer.TryGetValue(PairTensor.Down, out SafetensorsEntry? down) || !layer.ContainsKey(PairTensor.Up))
                _problems.Add($"'{path}' has {string.Join(", ", layer.Values.Select(entry => entry.Name))} only: the {(down is null ? "down" : "up")}-projection is missing");
            else if (down.Shape.Length < 2 || down.Shape[0] is < 1 or > int.MaxValue)
                _problems.Add($"tensor {down.Name} has the shape [{string.Join(", ", down.Shape)}], which is none of a down-projection");
            else if (Alpha(path, layer, down.Shape[0]) is double alpha)
                complete.Add((path, (int)down.Shape[0], alpha));
        }
        return complete;
    }

    /// <summary>The tensors under PEFT's keys, without the alphas.</summary>
    /// <param name="layers">What <see cref="Complete"/> gave.</param>
    /// <param name="foldAlpha">Whether alpha / r goes into B, for a scale of 1.</param>
    internal IReadOnlyList<AdapterTensor> Tensors(IReadOnlyList<(string Path, int Rank, double Alpha)> layers, bool foldAlpha = false) =>
    [
        .. from layer in layers
           from tensor in _layers[layer.Path]
           where tensor.Key != PairTensor.Alpha
           select new AdapterTensor(file, tensor.Value, AdapterFit.KeyOf(layer.Path, KeyOf(tensor.Key))) { Factor = foldAlpha && tensor.Key != PairTensor.Down ? layer.Alpha / layer.Rank : 1 },
    ];

    private static string KeyOf(PairTensor kind) => kind switch
    {
        PairTensor.Down => "lora_A.weight",
        PairTensor.Up => "lora_B.weight",
        _ => "lora_B.bias",
    };

    // An alpha that is not there, or 0, stands for the rank.
    private double? Alpha(string path, Dictionary<PairTensor, SafetensorsEntry> layer, long rank)
    {
        if (!layer.TryGetValue(PairTensor.Alpha, out SafetensorsEntry? entry)) return rank;
        if (entry.Shape.Any(size => size != 1) || entry.Type.ToScalarType() is null or ScalarType.Bool or ScalarType.ComplexFloat32)
        {
            _problems.Add($"tensor {entry.Name} is a {entry.Type.ToFileName()} of the shape [{string.Join(", ", entry.Shape)}], but one number is needed");
            return null;
        }
        using var scope = NewDisposeScope();
        double alpha = file.ReadTensor(entry.Name).to(ScalarType.Float64).item<double>();
        if (!double.IsFinite(alpha))
        {
            _problems.Add($"tensor {entry.Name} is {alpha}, but a finite number is needed");
            return null;
        }
        if (alpha != 0) return alpha;
        _remarks.Add($"the alpha of '{path}' is 0, which stands for the rank, {rank}");
        return rank;
    }
}
