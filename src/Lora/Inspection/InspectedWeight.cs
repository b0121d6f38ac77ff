using Lora.Combining;
using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Inspection;

/// <summary>One weight with the pair that changes it. The tensors belong to the current dispose scope.</summary>
/// <param name="Part">Which weight of its layer.</param>
/// <param name="Pair">The adapter that rank and scale are of.</param>
/// <param name="A">A, <c>[r, n]</c>.</param>
/// <param name="B">B, <c>[m, r]</c>.</param>
/// <param name="Weight">The base's weight, or the part of it.</param>
internal sealed record InspectedWeight(string? Part, LoraAdapter Pair, Tensor A, Tensor B, Tensor Weight)
{
    /// <summary>The weights of a layer; null where no ΔW is defined.</summary>
    internal static IReadOnlyList<InspectedWeight>? Of(ILoraLayer layer, LoraAdapter adapter) => adapter switch
    {
        CompositeAdapter composite => [.. composite.PartNames.SelectMany(name => OfPart(name, composite.Part(name)!, WeightOf(layer, name)))],
        FusedLinearAdapter fused => [.. OfFused(fused, layer.ChangesOf(adapter).First().Weight, ((LoraFusedLinear)layer).IsTransposed ? 1 : 0)],
        _ => adapter.ToLowRank() is LowRank factors ? [.. OfBlocks(layer, adapter, factors)] : null,
    };

    private static IEnumerable<InspectedWeight> OfPart(string name, LoraAdapter pair, Tensor weight)
    {
        if (weight.dim() == 2) return [new InspectedWeight(name, pair, pair.A, pair.B, weight)];
        long experts = weight.shape[0];
        // The columns of one rank are together in B, the rows of an expert in A.
        Tensor a = pair.A.view(experts, pair.Rank, -1), b = pair.B.view(-1, pair.Rank, experts).permute(2, 0, 1);
        return Enumerable.Range(0, (int)experts).Select(e => new InspectedWeight($"{name} expert {e}", pair, a[e], b[e], weight[e]));
    }

    private static IEnumerable<InspectedWeight> OfFused(FusedLinearAdapter fused, Tensor weight, int outputs)
    {
        long place = 0, rows = 0, row = 0;
        foreach ((int index, (long width, bool enabled)) in fused.OutputParts.Index())
        {
            if (enabled)
            {
                yield return new InspectedWeight($"part {index}", fused, fused.A.narrow(0, rows, fused.Rank), fused.B.narrow(0, row, width), weight.narrow(outputs, place, width));
                rows += fused.Rank;
                row += width;
            }
            place += width;
        }
    }

    private static IEnumerable<InspectedWeight> OfBlocks(ILoraLayer layer, LoraAdapter adapter, LowRank factors)
    {
        Tensor weight = layer switch
        {
            // A start may be taken off the weight at the moment.
            LoraLinear linear => linear.OriginalWeight,
            LoraConv or LoraConvTranspose => WeightOf(layer, "weight"),
            _ => layer.ChangesOf(adapter).First().Weight,
        };
        long part = weight.shape[0] / factors.Blocks;
        for (int i = 0; i < factors.Blocks; i++)
            yield return new InspectedWeight(factors.Blocks == 1 ? null : $"group {i}", adapter, factors.A[i], factors.B[i], factors.Blocks == 1 ? weight : weight.narrow(0, i * part, part));
    }

    private static Parameter WeightOf(ILoraLayer layer, string name) => layer is LoraMultiheadAttention
        ? LoraMultiheadAttention.WeightOf(layer.BaseLayer, name)
        : layer.BaseLayer.named_parameters(recurse: false).First(p => p.name == name).parameter;
}
