using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>A ViT without its head.</summary>
internal sealed class ViTBody : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "embeddings")]
    private nn.Module<Tensor, Tensor> _embeddings;

    // One of the two: transformers 5 has the layers without an encoder around them.
    [ComponentName(Name = "encoder")]
    private nn.Module<Tensor, Tensor>? _encoder;

    [ComponentName(Name = "layers")]
    private ModuleList<ViTLayer>? _layers;

    [ComponentName(Name = "layernorm")]
    private nn.Module<Tensor, Tensor> _norm;

    internal ViTBody(ViTConfig config, ScalarType dataType, Device device)
        : base(nameof(ViTBody))
    {
        _embeddings = new ViTEmbeddings(config, dataType, device);
        IEnumerable<int> places = Enumerable.Range(0, config.Layers);
        if (config.ClassicNames) _encoder = new LayerChain("layer", places.Select(_ => new ClassicViTLayer(config, dataType, device)));
        else _layers = new ModuleList<ViTLayer>([.. places.Select(_ => new ViTLayer(config, dataType, device))]);
        _norm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        RegisterComponents();
    }

    /// <returns>The hidden states, shape <c>[batch, 1 + patches, width]</c>.</returns>
    public override Tensor forward(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        Tensor embedded = _embeddings.call(pixels);
        Tensor hidden = _encoder is not null ? _encoder.call(embedded) : LayerChain.Run(_layers!, embedded);
        return _norm.call(hidden).MoveToOuterDisposeScope();
    }
}
