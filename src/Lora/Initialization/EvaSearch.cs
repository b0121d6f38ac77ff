using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>The decompositions of all layers while data runs, and how the ranks are shared out by them.</summary>
internal sealed class EvaSearch : IDisposable
{
    private readonly EvaInitialization _settings;
    private readonly IReadOnlyList<CalibratedLayer> _layers;
    private readonly Dictionary<string, EvaInput> _inputs = new(StringComparer.Ordinal);
    private readonly List<EvaInput> _distinct = [];
    private Dictionary<string, int> _ranks;

    internal EvaSearch(EvaInitialization settings, IReadOnlyList<CalibratedLayer> layers)
    {
        _settings = settings;
        _layers = layers;
        _ranks = layers.ToDictionary(layer => layer.Path, Most, StringComparer.Ordinal);
    }

    internal int RankOf(CalibratedLayer layer) => _ranks[layer.Path];

    /// <summary>The first directions of a layer's input, which belong to the caller.</summary>
    internal Tensor Directions(CalibratedLayer layer, int rank, bool whiten)
    {
        using var scope = NewDisposeScope();
        IncrementalPca pca = _inputs[layer.Path].Pca;
        Tensor directions = pca.Components!.narrow(0, 0, rank);
        return (whiten ? directions.div(pca.SingularValues!.narrow(0, 0, rank).sqrt().unsqueeze(1)) : directions.clone()).DetachFromDisposeScope();
    }

    /// <summary>Runs the data until every direction that gets a rank stands still.</summary>
    /// <exception cref="InvalidOperationException">That does not happen.</exception>
    internal void Run()
    {
        Group();
        for (int pass = 0; ; pass++)
        {
            // A layer can get further ranks while others settle, and goes on then.
            foreach (EvaInput input in _distinct) input.IsSettled = input.HasSettled(_ranks[input.Path], _settings.Tau);
            if (_distinct.All(input => input.IsSettled)) return;
            if (pass >= _settings.MaximumPasses) throw GivenUp();
            Advance(_settings.Passes[pass % _settings.Passes.Count]);
            if (_distinct.All(input => input.Pca.Components is not null)) ShareOut();
            else if (pass + 1 >= _settings.Passes.Count && _distinct.FirstOrDefault(input => input.Pca.Components is null) is EvaInput starved) throw TooFew(starved);
        }
    }

    public void Dispose()
    {
        foreach (EvaInput input in _distinct) input.Dispose();
    }

    // Layers with the same input share what is found.
    private void Group()
    {
        var seen = new List<(EvaInput Input, Tensor Rows)>();
        var reached = new HashSet<string>(StringComparer.Ordinal);
        CalibrationPass pass = _settings.Passes[0];
        using (new Watches(_layers.Select(layer => LayerInputs.Watch(layer.Module, input =>
        {
            if (!reached.Add(layer.Path)) return;
            using var scope = NewDisposeScope();
            Tensor rows = LayerInputs.Rows(layer.Path, input, pass.Mask);
            EvaInput? same = seen.FirstOrDefault(other => other.Rows.shape.SequenceEqual(rows.shape) && other.Rows.eq(rows).all().item<bool>()).Input;
            if (same is null)
            {
                same = new EvaInput(layer.Path);
                _distinct.Add(same);
                seen.Add((same, rows.clone().DetachFromDisposeScope()));
            }
            same.Most = Math.Max(same.Most, Most(layer));
            _inputs.Add(layer.Path, same);
        }))))
        {
            pass.Run();
        }
        foreach ((_, Tensor rows) in seen) rows.Dispose();
        if (_layers.FirstOrDefault(layer => !_inputs.ContainsKey(layer.Path)) is CalibratedLayer unreached)
            throw new InvalidOperationException($"{_settings.Name}: the first pass did not reach '{unreached.Path}': run the model so that it calls every targeted layer, or leave the layer out of the targets.");
        foreach (EvaInput input in _distinct) input.Begin();
        _ranks = _layers.ToDictionary(layer => layer.Path, layer => _inputs[layer.Path].Most, StringComparer.Ordinal);
    }

    private void Advance(CalibrationPass pass)
    {
        using (new Watches(_distinct.Where(input => !input.IsSettled).Select(input => LayerInputs.Watch(_layers.First(layer => layer.Path == input.Path).Module, tensor =>
        {
            using var scope = NewDisposeScope();
            input.Add(LayerInputs.Rows(input.Path, tensor, pass.Mask));
        }))))
        {
            pass.Run();
        }
    }

    // The directions that explain most, of all layers, get the ranks. Of layers with one input the first gets the most.
    private void ShareOut()
    {
        int budget = _layers.Sum(layer => layer.Rank);
        CalibratedLayer[] order = [.. _layers.OrderBy(layer => _inputs[layer.Path].Path == layer.Path ? 0 : 1)];
        Dictionary<string, int> counts = order
            .SelectMany(layer => _inputs[layer.Path].Pca.ExplainedVariance.Select(part => (layer.Path, Part: part)))
            .OrderByDescending(one => one.Part)
            .Take(budget)
            .CountBy(one => one.Path, StringComparer.Ordinal)
            .ToDictionary(StringComparer.Ordinal);
        foreach (CalibratedLayer layer in _layers) counts.TryAdd(layer.Path, 0);
        foreach (CalibratedLayer layer in order)
        {
            string first = _inputs[layer.Path].Path;
            if (counts[first] < counts[layer.Path]) (counts[first], counts[layer.Path]) = (counts[layer.Path], counts[first]);
        }
        _ranks = counts;
    }

    // Rounded to the even neighbour in the middle, as in Python.
    private int Most(CalibratedLayer layer) =>
        (int)Math.Min(Math.Round(layer.Rank * _settings.Rho, MidpointRounding.ToEven), layer.View.InFeatures);

    private InvalidOperationException GivenUp() => new(
        $"{_settings.Name}: after {_settings.MaximumPasses} passes the directions of {_distinct.Count(input => !input.IsSettled)} of {_distinct.Count} inputs still turn, the first '{_distinct.First(input => !input.IsSettled).Path}': give more or larger batches, lower {nameof(EvaInitialization.Tau)}, or allow more passes.");

    private InvalidOperationException TooFew(EvaInput input) => new(
        $"{_settings.Name}: '{input.Path}' needs at least {input.Most} rows in a pass to find {input.Most} directions, but no pass gave it more than {input.MostRows}: use larger batches, or lower the rank or {nameof(EvaInitialization.Rho)}.");
}
