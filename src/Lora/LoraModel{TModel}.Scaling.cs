using Lora.Layers;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>Sets the scale of an adapter to a multiple of the one that its rank and alpha give. It is not saved.</summary>
    /// <param name="name">The adapter's name.</param>
    /// <param name="factor">The multiple; 1 for the scale as configured.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name, or the factor is not finite.</exception>
    /// <exception cref="InvalidOperationException">The adapter is merged.</exception>
    public void SetScale(string name, double factor) => Rescale([name], factor, adapter => adapter.InitialScale * factor);

    /// <summary>Multiplies the current scale of adapters. It is not saved.</summary>
    /// <param name="factor">The factor.</param>
    /// <param name="names">The adapters; the active ones where none is named.</param>
    /// <exception cref="ArgumentException">There is no adapter of a name, or the factor is not finite.</exception>
    /// <exception cref="InvalidOperationException">An adapter is merged.</exception>
    public void MultiplyScale(double factor, params IEnumerable<string> names) => Rescale(NamedOrActive(names), factor, adapter => adapter.Scale * factor);

    /// <summary>Gives adapters the scale again that their rank and alpha give.</summary>
    /// <param name="names">The adapters; the active ones where none is named.</param>
    /// <exception cref="ArgumentException">There is no adapter of a name.</exception>
    /// <exception cref="InvalidOperationException">An adapter is merged.</exception>
    public void ResetScale(params IEnumerable<string> names) => Rescale(NamedOrActive(names), 1, adapter => adapter.InitialScale);

    private string[] NamedOrActive(IEnumerable<string> names)
    {
        string[] chosen = [.. names];
        return chosen.Length > 0 ? chosen : [.. _active];
    }

    private void Rescale(string[] names, double factor, Func<LoraAdapter, double> scale)
    {
        ThrowIfFinished();
        CheckKnown(names);
        if (!double.IsFinite(factor)) throw new ArgumentOutOfRangeException(nameof(factor), factor, "The factor must be a finite number.");
        if (MergedAdapters.Intersect(names).FirstOrDefault() is string merged)
            throw new InvalidOperationException($"Adapter '{merged}' is merged with its present scale: unmerge it before changing that.");
        foreach (AdapterSet adapters in LoraLayers.Select(layer => layer.Adapters))
        {
            foreach (LoraAdapter adapter in adapters.Where(adapter => names.Contains(adapter.AdapterName)))
                foreach (LoraAdapter part in adapter.Parts.Append(adapter).Distinct()) part.Rescale(scale(part));
            adapters.Refresh();
        }
    }
}
