using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>How a layer's weight is a matrix <c>[out, in]</c>, and how the factors of that matrix stand in PEFT's file.</summary>
internal abstract class WeightLayout
{
    /// <summary>A weight <c>[out, in]</c>.</summary>
    internal static WeightLayout Linear { get; } = new Plain();

    /// <summary>A weight <c>[in, out]</c>.</summary>
    internal static WeightLayout Transposed { get; } = new Turned();

    /// <summary>A table <c>[num, dim]</c>.</summary>
    internal static WeightLayout Embedding { get; } = new Table();

    /// <summary>A kernel <c>[out, in, k…]</c>.</summary>
    internal static WeightLayout Convolution { get; } = new Kernel();

    /// <summary>A kernel <c>[in, out, k…]</c>.</summary>
    internal static WeightLayout TransposedConvolution { get; } = new TurnedKernel();

    internal bool IsLinear => this is Plain or Turned;

    internal bool IsConvolution => this is Kernel or TurnedKernel;

    /// <summary>The weight as a matrix; it may share the weight's memory.</summary>
    internal abstract Tensor ToMatrix(Tensor weight);

    /// <summary>The factors as a layer's tensors in the file.</summary>
    /// <param name="a">A, <c>[r, in]</c> of the matrix.</param>
    /// <param name="b">B, <c>[out, r]</c> of the matrix.</param>
    /// <param name="shape">The weight's shape.</param>
    internal virtual IEnumerable<KeyValuePair<string, Tensor>> Tensors(Tensor a, Tensor b, IReadOnlyList<long> shape) => [new("lora_A.weight", a), new("lora_B.weight", b)];

    private sealed class Plain : WeightLayout
    {
        internal override Tensor ToMatrix(Tensor weight) => weight;
    }

    private sealed class Turned : WeightLayout
    {
        internal override Tensor ToMatrix(Tensor weight) => weight.t();
    }

    private sealed class Table : WeightLayout
    {
        internal override Tensor ToMatrix(Tensor weight) => weight.t();

        internal override IEnumerable<KeyValuePair<string, Tensor>> Tensors(Tensor a, Tensor b, IReadOnlyList<long> shape) => [new("lora_embedding_A", a), new("lora_embedding_B", b)];
    }

    private sealed class Kernel : WeightLayout
    {
        internal override Tensor ToMatrix(Tensor weight) => weight.flatten(1);

        internal override IEnumerable<KeyValuePair<string, Tensor>> Tensors(Tensor a, Tensor b, IReadOnlyList<long> shape) =>
            [new("lora_A.weight", a.reshape([a.shape[0], .. shape.Skip(1)])), new("lora_B.weight", b.reshape([.. b.shape, .. shape.Skip(2).Select(_ => 1L)]))];
    }

    private sealed class TurnedKernel : WeightLayout
    {
        internal override Tensor ToMatrix(Tensor weight) => weight.transpose(0, 1).flatten(1);

        internal override IEnumerable<KeyValuePair<string, Tensor>> Tensors(Tensor a, Tensor b, IReadOnlyList<long> shape) =>
            [new("lora_A.weight", a.reshape([a.shape[0], shape[0], .. shape.Skip(2)]).transpose(0, 1)), new("lora_B.weight", b.reshape([.. b.shape, .. shape.Skip(2).Select(_ => 1L)]))];
    }
}
