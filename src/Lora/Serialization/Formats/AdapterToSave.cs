using Lora.Layers;
using Lora.Variants;
using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>An adapter that is to be written.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Config">Its settings, with patterns in the order in which a file holds them.</param>
/// <param name="Layers">The layers that have it.</param>
/// <param name="PartSettings">The settings by which it has something beside its layers.</param>
/// <param name="Saved">What its tensors are in a file.</param>
/// <param name="SaveAsPeft">Writes it in one of PEFT's forms into a folder.</param>
internal sealed record AdapterToSave(string Name, LoraConfig Config, IReadOnlyList<AdapterLayer> Layers, IReadOnlyList<string> PartSettings, SavedForm Saved, Action<string, PeftForm> SaveAsPeft)
{
    /// <summary>The adapter of each layer by the layer's path.</summary>
    internal IEnumerable<(string Path, LoraAdapter Adapter)> Adapters => Layers.Select(layer => (layer.Path, layer.Layer.Adapters[Name]));

    /// <summary>The remarks that a file of any form bears.</summary>
    internal IEnumerable<KeyValuePair<string, string>> Marks => ConvolutionMark.For(Adapters.Select(layer => layer.Adapter));

    /// <summary>Says what a form cannot carry of it.</summary>
    /// <param name="carries">Whether it can carry the adapter of a layer.</param>
    /// <param name="kinds">Which layers it can, for the text.</param>
    internal IEnumerable<string> Obstacles(Func<ILoraLayer, bool> carries, string kinds)
    {
        foreach (string setting in PartSettings.Distinct()) yield return $"{setting} is set, and there is no place for what it trains";
        if (LoraVariantKind.Of(Config) is { Unplaced: string unplaced } variant) yield return $"{variant.Setting} is set, and there is no place for {unplaced}";
        if (Config.LayerReplication.Count > 0) yield return "layer_replication is set, and there is no place for how the layers are stacked";
        foreach (AdapterLayer layer in Layers.Where(layer => !carries(layer.Layer)))
            yield return $"'{layer.Path}' is a {layer.Layer.BaseLayer.GetType().Name} adapted by a {layer.Layer.GetType().Name}, and there is a place for the adapters of {kinds} only";
    }

    /// <exception cref="InvalidOperationException">There are obstacles.</exception>
    internal void ThrowIf(IEnumerable<string> obstacles, AdapterFormat format)
    {
        string[] problems = [.. obstacles];
        if (problems.Length == 0) return;
        throw new InvalidOperationException($"Adapter '{Name}' cannot be saved in the form of {format}:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}\nSave it in PEFT's form, which carries everything.");
    }
}
