using Lora.Parts;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>A decoder's layers in another order and number. Those that come again are modules of their own over the first one's weights.</summary>
internal sealed class LayerReplication : ILayerReplication
{
    private readonly Decoder _decoder;
    private readonly ModuleList<DecoderLayer> _own;
    private readonly ModuleList<DecoderLayer> _rebuilt;
    private readonly List<DecoderLayer> _copies = [];

    /// <param name="decoder">The decoder, whose layers are exchanged.</param>
    /// <param name="own">Its layers.</param>
    /// <param name="ranges">Ranges of them.</param>
    /// <param name="blank">Makes a layer of the same shape as the one at a place.</param>
    internal LayerReplication(Decoder decoder, ModuleList<DecoderLayer> own, IEnumerable<LayerRange> ranges, Func<int, DecoderLayer> blank)
    {
        _decoder = decoder;
        _own = own;
        var used = new HashSet<int>();
        _rebuilt = new ModuleList<DecoderLayer>([.. ranges.SelectMany(range => Enumerable.Range(range.Start, range.Count)).Select(layer => used.Add(layer) ? own[layer] : CopyOf(own[layer], blank(layer)))]);
        IsActive = true;
    }

    public bool IsActive
    {
        get;
        set
        {
            if (field == value) return;
            field = value;
            _decoder.Layers = value ? _rebuilt : _own;
        }
    }

    public void Dispose()
    {
        IsActive = false;
        foreach (DecoderLayer copy in _copies) copy.Dispose();
        _copies.Clear();
    }

    private DecoderLayer CopyOf(DecoderLayer layer, DecoderLayer copy)
    {
        _copies.Add(copy);
        copy.train(layer.training);
        foreach ((nn.Module to, nn.Module from) in copy.modules().Zip(layer.modules()))
        {
            foreach ((string name, Parameter blank) in to.named_parameters(recurse: false).ToList())
            {
                Parameter original = from.get_parameter(name)!;
                // Another parameter over the same memory.
                var shared = new Parameter(original.detach(), original.requires_grad);
                shared.DetachFromDisposeScope();
                ParameterPlace.Find(to, name, out _)!.Set(shared);
                blank.Dispose();
            }
        }
        return copy;
    }
}
