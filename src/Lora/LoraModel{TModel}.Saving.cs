using Lora.Layers;
using Lora.Serialization;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>Writes the adapter in PEFT's layout: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>. Both files are written beside their places first and then renamed.</summary>
    /// <param name="folder">The folder; it is made when it does not exist, and files of these names in it are replaced.</param>
    /// <exception cref="IOException">The folder or a file cannot be written; what was there before is whole.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder is write-protected.</exception>
    public void Save(string folder)
    {
        ThrowIfFinished();
        ArgumentException.ThrowIfNullOrEmpty(folder);
        AdapterFolder.Save(folder, _file?.With(Config) ?? FreshFile(), Tensors());
    }

    private PeftAdapterConfig FreshFile()
    {
        string[] paths = [.. _layers.Select(layer => layer.Path)];
        LoraConfig sorted = Config with
        {
            RankPattern = ((PatternTable<int>)Config.RankPattern).SortedFor(paths, Config.Rank),
            AlphaPattern = ((PatternTable<double>)Config.AlphaPattern).SortedFor(paths, Config.Alpha),
        };
        // What the last layer is like is what PEFT writes for all of them.
        return PeftAdapterConfig.From(sorted, _model.GetType(), _layers[^1].Layer.BaseLayer is TransposedLinear);
    }

    private IEnumerable<KeyValuePair<string, Tensor>> Tensors()
    {
        foreach (AdapterLayer layer in _layers)
        {
            yield return new(AdapterFit.KeyOfA(layer.Path), layer.Layer.Adapter.A);
            yield return new(AdapterFit.KeyOfB(layer.Path), layer.Layer.Adapter.B);
        }
    }
}
