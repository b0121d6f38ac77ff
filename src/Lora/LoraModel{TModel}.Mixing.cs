using Lora.Layers;
using Lora.Mixing;
using Lora.Parts;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    // The scopes that choose adapters, the innermost last.
    private readonly List<Choice> _choices = [];

    /// <summary>
    /// Gives each sample of a batch its own adapter until the answer is disposed, in evaluation and in training, with gradients. Rows of the batch are told apart by
    /// the first dimension of each layer's input. Layers that a sample's adapter does not adapt compute the base layer's output for it.
    /// </summary>
    /// <remarks>
    /// <para>Scopes nest: inside, <see cref="Use"/> or another call of this method decides alone, and <see cref="Disable"/> switches all adapters off. Whether an
    /// adapter is active elsewhere does not matter.</para>
    /// <para>The samples are sorted once by adapter, for all layers. On a CPU each adapter computes on its own rows only; on other devices the adapters of a linear
    /// layer become one of rank Σr, and a mask leaves each row its part. A batch in beam search has several rows for each sample: repeat the names.</para>
    /// <para>What an adapter has beside layers counts for its own samples only, and nothing of the active adapters' does: full copies of modules
    /// (<see cref="LoraConfig.ModulesToSave"/>), biases and rows of embeddings. At such a module the samples part: those of an adapter go through it with the adapter's
    /// parameters, the others with the base model's. It has to take one tensor and give one, both with the batch as their first dimension.</para>
    /// </remarks>
    /// <example><c>using (lora.UsePerSample("sql", "style", LoraModel.BaseAdapter, "sql")) logits = model.call(ids);</c></example>
    /// <param name="names">For each sample the name of an adapter, or <see cref="LoraModel.BaseAdapter"/> for none.</param>
    /// <returns>The scope; use it with <c>using</c>.</returns>
    /// <exception cref="ArgumentException">There is no adapter of a name, or no name at all.</exception>
    /// <exception cref="InvalidOperationException">
    /// An adapter is merged, a layer with one of the adapters takes only one for the whole batch, or the samples cannot part at a module of which an adapter has its own.
    /// A forward pass throws it where a batch has another number of rows, or where such a module gives another number of rows than it takes.
    /// </exception>
    public IDisposable UsePerSample(params IEnumerable<string> names)
    {
        ThrowIfFinished();
        string[] samples = [.. names];
        if (samples.Length == 0) throw new ArgumentException("No adapter is named: name one for each sample of the batch.", nameof(names));
        var batch = new BatchAdapters(samples);
        CheckKnown(batch.Names);
        if (MergedAdapters is [string merged, ..])
            throw new InvalidOperationException($"Adapter '{merged}' is merged into the base weights, so that every sample would get it: unmerge it first.");
        string[] obstacles = [.. _layers.Where(layer => layer.Layer.MixingObstacle is not null && batch.Names.Any(layer.Layer.Adapters.Contains)).Select(layer => $"'{layer.Path}' {layer.Layer.MixingObstacle}")];
        obstacles =
        [
            .. obstacles,
            .. _layers.SelectMany(layer => layer.Layer.Adapters).Where(adapter => adapter.Variant?.MixingObstacle is not null && batch.Names.Contains(adapter.AdapterName))
                .Select(adapter => $"adapter '{adapter.AdapterName}' {adapter.Variant!.MixingObstacle}").Distinct(),
        ];
        var parts = SampleParts.Make(_model, _layers, _parts, batch, out IReadOnlyList<string> further);
        obstacles = [.. obstacles, .. further];
        if (obstacles.Length > 0)
        {
            throw new InvalidOperationException(
                $"The samples of a batch cannot use different adapters:{string.Concat(obstacles.Select(obstacle => $"\n  - {obstacle}"))}\nRun them one adapter after the other, with {nameof(Use)}.");
        }
        Choice choice = Choose(batch, parts);
        return new Scope(() => Withdraw(choice));
    }

    private Choice Choose(BatchAdapters? batch, SampleParts? parts = null)
    {
        var choice = new Choice(batch, parts);
        _choices.Add(choice);
        Mix(batch);
        return choice;
    }

    // Scopes may end in another order than they should; then the last that is open decides.
    private void Withdraw(Choice choice)
    {
        _choices.Remove(choice);
        if (!_finished) Mix(_choices.LastOrDefault()?.Batch);
        choice.Parts?.Dispose();
        choice.Batch?.Dispose();
    }

    private void Mix(BatchAdapters? batch)
    {
        foreach (AdapterLayer layer in _layers) layer.Layer.Adapters.Mix = batch?.For(layer.Path, layer.Layer.Adapters);
        if (!IsMerged) ActivateParts(); // What a merged adapter is part of stays in its place.
    }

    private void ThrowIfPerSample(string consequence)
    {
        if (_choices.LastOrDefault()?.Batch is not null)
            throw new InvalidOperationException($"Each sample of the batch has its own adapter at the moment, so {consequence}: end the scope of {nameof(UsePerSample)} first.");
    }

    private void ThrowIfNamedPerSample(string name)
    {
        if (_choices.Any(choice => choice.Batch?.Uses(name) == true))
            throw new InvalidOperationException($"Adapter '{name}' is used for samples of a batch: end the scope of {nameof(UsePerSample)} first.");
    }

    /// <summary>What one open scope decides: an adapter for each sample, or with null the active ones for all.</summary>
    private sealed class Choice(BatchAdapters? batch, SampleParts? parts)
    {
        public BatchAdapters? Batch => batch;

        public SampleParts? Parts => parts;

        /// <summary>The adapters that were active before, for a scope that changes that; null for one that names adapters per sample.</summary>
        public IReadOnlyList<string>? Before { get; set; }
    }
}
