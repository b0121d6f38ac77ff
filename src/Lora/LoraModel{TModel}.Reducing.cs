using Lora.Combining;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>
    /// Makes of an adapter the best one of a lower rank, layer by layer: of s·B·A the largest singular values, with the present scale s in B and alpha = rank. The decomposition is that of the factors
    /// (<see cref="CombineMethod.Svd"/> of one adapter); ΔW itself is never formed. A rank that is enough gives the same update.
    /// </summary>
    /// <param name="name">The adapter.</param>
    /// <param name="newName">The name of the reduced one, which is not active; null puts it in the place of the other, as <see cref="ReplaceAdapter"/> does.</param>
    /// <param name="rank">The rank, or with <paramref name="energyThreshold"/> the largest. No layer gets more than it has.</param>
    /// <param name="energyThreshold">The part of the squared Frobenius norm of ΔW that must be kept, above 0 and at most 1: each layer gets the smallest rank that does.</param>
    /// <returns>The rank and the error of each layer.</returns>
    /// <exception cref="ArgumentException">
    /// There is no such adapter, the new name is taken or unusable, neither rank nor energy is given or one is out of range, or the adapter has what cannot be reduced, such as magnitudes. Every problem
    /// is listed, and the model is as it was.
    /// </exception>
    /// <exception cref="InvalidOperationException">The adapter would be replaced and is merged, or used in a scope of <see cref="UsePerSample"/>.</exception>
    /// <example><c>lora.ReduceRank("sql", "sql-small", rank: 4);</c></example>
    public CombineResult ReduceRank(string name, string? newName = null, int? rank = null, double? energyThreshold = null)
    {
        ThrowIfFinished();
        CheckKnown([name]);
        if (rank is null && energyThreshold is null) throw new ArgumentException($"The rank of adapter '{name}' cannot be reduced: give {nameof(rank)} or {nameof(energyThreshold)}, or both.", nameof(rank));
        if (newName is null && MergedAdapters.Contains(name)) throw new InvalidOperationException($"Adapter '{name}' is merged into the base weights: unmerge it before reducing its rank, or give the reduced one a name of its own.");
        if (newName is null) ThrowIfNamedPerSample(name);

        bool isTrainable = LoraLayers.SelectMany(layer => layer.Adapters).Any(adapter => adapter.AdapterName == name && adapter.FileTensors.Any(tensor => tensor.Value.requires_grad));
        var options = new CombineOptions { Method = CombineMethod.Svd, Rank = rank, EnergyThreshold = energyThreshold };
        var request = new CombineRequest(newName ?? FreeName(name), [(name, 1)], options, _adapters, _layers);
        CombineResult result = Combine(request, $"The rank of adapter '{name}' cannot be reduced", nameof(name), source =>
        {
            if (newName is null) PutInPlaceOf(name, source);
            else Install(source, isTrainable);
        });
        return result with { Name = newName ?? name };
    }
}
