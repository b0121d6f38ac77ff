using Lora.Layers;
using Lora.Llm.Blocks.Passes;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>How many bytes a layer keeps between forward and backward, as far as its shape tells.</summary>
internal static class BlockActivations
{
    /// <summary>The bytes of everything that a layer keeps, and those of its input.</summary>
    /// <param name="shape">The layer's sizes.</param>
    /// <param name="layer">The layer, with its adapters.</param>
    /// <param name="hidden">Its input, shape <c>[batch, length, width]</c>.</param>
    /// <param name="seen">The number of positions that its attention looks at.</param>
    internal static (long Whole, long Input) BytesOf(BlockShape shape, nn.Module layer, Tensor hidden, long seen)
    {
        long tokens = hidden.shape[0] * hidden.shape[1], own = hidden.ElementSize, precise = Math.Max(own, sizeof(float)), width = shape.Width;
        bool inPasses = own == precise;
        long scores = inPasses ? ScoresPerToken(shape, hidden, seen) : seen;
        long bytes = own * (shape.Queries + (2 * shape.Keys) + ((shape.InnerTensors - (inPasses ? shape.SparedByPasses : 0)) * shape.Inner));
        // The input of the norms. Without a conversion it is the layer's input and the sum behind the attention.
        bytes += (shape.NormsInFloat32 ? precise : own) * 2 * width;
        // The weights of the attention, computed in float32 at least and converted back.
        bytes += (own == precise ? own : own + precise) * shape.Heads * scores;
        // The factors of dropout, and behind them the weights that are left.
        if (layer.training && shape.DropsWeights) bytes += 2 * own * shape.Heads * seen;
        if (layer.training && shape.DropsResiduals) bytes += 2 * own * width;
        bytes += InputsOfAdapters(layer, hidden.dtype, own * ((2 * width) + shape.Queries + shape.Inner), out long shared);
        bytes += shared;
        return (tokens * bytes, tokens * own * width);
    }

    // In blocks of rows there are no scores of what lies ahead.
    private static long ScoresPerToken(BlockShape shape, Tensor hidden, long seen) =>
        hidden.device_type == DeviceType.CPU && seen == hidden.shape[1] && shape.AttendsInBlocks ? CausalBlocks.Scores(seen) / seen : seen;

    // A is multiplied with the layer's input: the tensor that several layers share, or a copy of its own where its type is another or elements are dropped.
    private static long InputsOfAdapters(nn.Module layer, ScalarType type, long sharedInputs, out long shared)
    {
        long copies = 0;
        shared = 0;
        foreach (ILoraLayer adapted in layer.modules().OfType<ILoraLayer>())
        {
            foreach (LoraAdapter adapter in adapted.Adapters.Contributing)
            {
                if (adapter.A.dim() != 2) continue;
                long input = adapter.A.shape[1], size = adapter.A.ElementSize;
                bool drops = adapter.Dropout > 0 && adapter.training;
                if (adapter.A.dtype == type && !drops) shared = sharedInputs;
                // The copy, the factors of dropout where there is one, and the narrow product.
                if (adapter.A.dtype != type || drops) copies += size * input * (drops ? 2 : 1);
                copies += size * adapter.Rank;
            }
        }
        return copies;
    }
}
