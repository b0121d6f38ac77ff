using Lora.Llm;
using Lora.Llm.Blocks;
using Lora.Llm.Blocks.Passes;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>The parts of a decoder layer beside its linear layers, forward and backward: each as a pass with a backward of its own, and by operators one by one.</summary>
internal static class ModelParts
{
    /// <param name="name">attention, rotation, norm or gate.</param>
    /// <param name="byOperators">Whether operators run one by one.</param>
    /// <param name="batch">The number of texts.</param>
    /// <param name="length">Their length.</param>
    /// <param name="heads">The number of heads, of queries as of keys and values.</param>
    /// <param name="width">The width of a head.</param>
    /// <param name="inner">The width of the gate.</param>
    public static Action Of(string name, bool byOperators, int batch, int length, int heads, int width, int inner)
    {
        manual_seed(0);
        using var scope = NewDisposeScope();
        Tensor ids = ones([batch, length], dtype: ScalarType.Int64), weight = Kept(ones(heads * width));
        Tensor[] rows = [.. Enumerable.Range(0, 3).Select(_ => Kept(randn(batch, length, name == "gate" ? inner : heads * width).requires_grad_()))];
        Tensor gradient = Kept(randn(rows[0].shape));
        var attention = new ScaledAttention(heads, heads, width, 1 / Math.Sqrt(width));
        CausalReach reach = CausalReach.Of(new CausalInput(ids), null, rows[0])!;
        AttentionContext whole = new(length, Kept(ones([length, length], dtype: ScalarType.Bool).triu(1).reshape(1, 1, length, length)), null);
        (Tensor Cosine, Tensor Sine) tables = new RotaryPositions(new DefaultRope(10000), width).For(0, length, null, rows[0]);
        tables = (Kept(tables.Cosine), Kept(tables.Sine));
        RowRotation rotation = RowRotation.Of(tables, heads, width)!;
        rotation = rotation with { Cosine = Kept(rotation.Cosine), Sine = Kept(rotation.Sine) };
        return (name, byOperators) switch
        {
            ("attention", false) => () => Run(() => attention.Mix(rows[0], rows[1], rows[2], whole with { Causal = reach }, training: true)),
            ("attention", true) => () => Run(() => attention.Mix(rows[0], rows[1], rows[2], whole, training: true)),
            ("rotation", false) => () => Run(() => rotation.Apply(rows[0])),
            ("rotation", true) => () => Run(() => attention.Turn(rows[0], whole with { Rotation = tables })),
            ("norm", false) => () => Run(() => RmsFunction.apply(rows[0], weight, 1e-5)),
            ("norm", true) => () => Run(() => RmsPass.Plain(rows[0], weight, 1e-5)),
            ("gate", false) => () => Run(() => SwiGluPass.Apply(rows[0], rows[1])),
            ("gate", true) => () => Run(() => SwiGluPass.Plain(rows[0], rows[1])),
            _ => throw new ArgumentException($"'{name}' is none of attention, rotation, norm and gate.", nameof(name)),
        };

        void Run(Func<Tensor> part)
        {
            using var step = NewDisposeScope();
            part().backward([gradient]);
            foreach (Tensor leaf in rows) leaf.grad = null;
        }
    }

    private static Tensor Kept(Tensor tensor) => tensor.DetachFromDisposeScope();
}
