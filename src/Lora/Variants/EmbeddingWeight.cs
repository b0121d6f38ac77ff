using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>The table of an embedding, <c>[num, dim]</c>. Its outputs are the dimensions: a row in the sense of a variant is a column of the table, over all indices.</summary>
internal sealed class EmbeddingWeight(Func<Parameter> table) : AdaptedWeight
{
    internal override Parameter Weight => table();

    internal override Parameter? Bias => null;

    internal override long Outputs => table().shape[1];

    internal override long[] FileShape => [Outputs];

    internal override long[] RowDimensions => [0];

    internal override WeightRows Rows(LoraAdapter adapter) => new(table().t(), adapter.A, adapter.A, adapter.B);

    internal override Tensor Apply(Tensor input) => throw new InvalidOperationException("Indices are looked up as they are; nothing of them is dropped.");

    internal override Tensor OverOutput(Tensor numbers) => numbers;

    internal override Tensor OverWeight(Tensor numbers) => numbers;
}
