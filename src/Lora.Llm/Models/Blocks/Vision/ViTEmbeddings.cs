using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>An image as a row of tokens: its patches, before them a token of the model's own, all with learned positions.</summary>
internal sealed class ViTEmbeddings : nn.Module<Tensor, Tensor>
{
    private readonly ViTConfig _config;

    [ComponentName(Name = "cls_token")]
    private Parameter _first;

    [ComponentName(Name = "position_embeddings")]
    private Parameter _positions;

    [ComponentName(Name = "patch_embeddings")]
    private PatchEmbeddings _patches;

    internal ViTEmbeddings(ViTConfig config, ScalarType dataType, Device device)
        : base(nameof(ViTEmbeddings))
    {
        _config = config;
        int side = config.ImageSize / config.PatchSize;
        _first = Unfilled(1, 1, config.HiddenSize);
        _positions = Unfilled(1, 1 + side * side, config.HiddenSize);
        _patches = new PatchEmbeddings(config, dataType, device);
        RegisterComponents();

        Parameter Unfilled(params long[] shape)
        {
            var parameter = new Parameter(empty(shape, dtype: dataType, device: device));
            parameter.DetachFromDisposeScope();
            return parameter;
        }
    }

    /// <param name="pixels">Shape <c>[batch, channels, height, width]</c>.</param>
    /// <returns>Shape <c>[batch, 1 + patches, width]</c>.</returns>
    public override Tensor forward(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        Tensor patches = _patches.call(pixels);
        Tensor tokens = cat([_first.expand(pixels.shape[0], -1, -1), patches], 1);
        Tensor embedded = tokens.add(Positions(pixels.shape[2], pixels.shape[3]));
        return Dropouts.Apply(embedded, _config.HiddenDropout, training).MoveToOuterDisposeScope();
    }

    // The grid of an image of another size is that of pretraining, resized (Dosovitskiy et al. 2021).
    private Tensor Positions(long height, long width)
    {
        if (height == _config.ImageSize && width == _config.ImageSize) return _positions;
        long side = _config.ImageSize / _config.PatchSize, count = side * side;
        Tensor grid = _positions.narrow(1, 1, count).reshape(1, side, side, _config.HiddenSize).permute(0, 3, 1, 2);
        Tensor resized = nn.functional.interpolate(grid, [height / _config.PatchSize, width / _config.PatchSize], mode: InterpolationMode.Bicubic, align_corners: false);
        return cat([_positions.narrow(1, 0, 1), resized.permute(0, 2, 3, 1).reshape(1, -1, _config.HiddenSize)], 1);
    }

    private sealed class PatchEmbeddings : nn.Module<Tensor, Tensor>
    {
        [ComponentName(Name = "projection")]
        private nn.Module<Tensor, Tensor> _projection;

        internal PatchEmbeddings(ViTConfig config, ScalarType dataType, Device device)
            : base(nameof(PatchEmbeddings))
        {
            _projection = nn.Conv2d(config.Channels, config.HiddenSize, config.PatchSize, config.PatchSize, device: device, dtype: dataType);
            RegisterComponents();
        }

        public override Tensor forward(Tensor pixels)
        {
            using var scope = NewDisposeScope();
            return _projection.call(pixels).flatten(2).transpose(1, 2).MoveToOuterDisposeScope();
        }
    }
}
