using Lora.Combining;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>The adapter of a layer with several weights: one low-rank pair for each that is adapted. Rank, alpha and scale are those of the first.</summary>
public sealed class CompositeAdapter : LoraAdapter
{
    private readonly CompositePair[] _parts;

    /// <param name="adapterName">The adapter's name.</param>
    /// <param name="settings">The settings of the first pair.</param>
    /// <param name="parts">The pairs.</param>
    /// <param name="absent">The names and shapes in a file of the pairs that are not there.</param>
    internal CompositeAdapter(string adapterName, AdapterSettings settings, IEnumerable<CompositePair> parts, IEnumerable<KeyValuePair<string, long[]>>? absent = null)
        : base(nameof(CompositeAdapter), adapterName, settings)
    {
        _parts = [.. parts];
        Absent = [.. absent ?? []];
        foreach (CompositePair part in _parts) register_module(part.Name, part.Adapter);
    }

    /// <summary>The names of the weights that are adapted, in the order of <see cref="Parts"/>.</summary>
    public IReadOnlyList<string> PartNames => [.. _parts.Select(part => part.Name)];

    /// <inheritdoc/>
    public override IReadOnlyList<LoraAdapter> Parts => [.. _parts.Select(part => part.Adapter)];

    /// <summary>The first pair's down-projection.</summary>
    public override Parameter A => _parts[0].Adapter.A;

    /// <summary>The first pair's up-projection.</summary>
    public override Parameter B => _parts[0].Adapter.B;

    /// <inheritdoc/>
    public override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors =>
        [.. _parts.SelectMany(part => part.Adapter.FileTensors.Select(tensor => KeyValuePair.Create(part.FilePrefix + tensor.Key, tensor.Value)))];

    /// <summary>The pair of one weight, or null where it is not adapted.</summary>
    /// <param name="name">One of the names that the layer's weights have.</param>
    /// <returns>The pair.</returns>
    public LoraAdapter? Part(string name) => Array.Find(_parts, part => part.Name == name)?.Adapter;

    /// <summary>Not defined: the weights are used inside the layer.</summary>
    /// <param name="input">Not used.</param>
    /// <returns>Nothing.</returns>
    /// <exception cref="InvalidOperationException">Always.</exception>
    public override Tensor Term(Tensor input) =>
        throw new InvalidOperationException($"Adapter '{AdapterName}' changes weights inside its layer and has no term that could be added to the layer's output.");

    /// <summary>Computes ΔW of the only weight that is adapted.</summary>
    /// <returns>A new tensor, which belongs to the current dispose scope.</returns>
    /// <exception cref="InvalidOperationException">Several weights are adapted.</exception>
    public override Tensor ComputeDelta() => _parts.Length == 1
        ? _parts[0].Adapter.ComputeDelta()
        : throw new InvalidOperationException($"Adapter '{AdapterName}' changes {_parts.Length} weights ({string.Join(", ", PartNames)}): ask one of its {nameof(Parts)}.");

    /// <inheritdoc/>
    internal override IReadOnlyList<KeyValuePair<string, long[]>> Absent { get; }

    /// <inheritdoc/>
    /// <remarks>There are several matrices.</remarks>
    internal override LowRank? ToLowRank() => null;

    internal override double FileFactor(string fileTensor) =>
        _parts.FirstOrDefault(part => fileTensor == part.FilePrefix + "lora_B.weight")?.FileFactor ?? 1;

    /// <summary>Does nothing: the pairs are registered under their weights' names.</summary>
    protected override void RegisterComponents()
    {
    }
}
