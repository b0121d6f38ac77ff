using Lora.Llm.Blocks;
using Lora.Llm.Blocks.Passes;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Blocks.Passes;

[Collection(Alone.Name)]
public sealed class CausalBlocksTests
{
    private const int Width = 3;

    // 41 tokens are two blocks of which the second is one row; 131 are four; 530 are eight of 67 rows, but for the last.
    [Theory]
    [InlineData(2, 1, 1, 2, false, ScalarType.Float64, 1e-13)]
    [InlineData(6, 2, 2, 41, false, ScalarType.Float64, 1e-13)]
    [InlineData(6, 2, 2, 41, true, ScalarType.Float64, 1e-13)]
    [InlineData(4, 4, 3, 131, true, ScalarType.Float64, 1e-13)]
    [InlineData(6, 2, 1, 131, false, ScalarType.Float32, 2e-6)]
    [InlineData(2, 1, 1, 530, false, ScalarType.Float32, 2e-6)]
    public void Outputs_and_gradients_are_those_of_whole_matrices(int heads, int keyValueHeads, int batch, int length, bool padded, ScalarType type, double tolerance)
    {
        using var scope = NewDisposeScope();
        var attention = new ScaledAttention(heads, keyValueHeads, Width, 0.6);
        CausalReach reach = Reach(batch, length, padded, type);
        Assert.Equal(padded, reach.Padding is not null);
        (Tensor q, Tensor k, Tensor v) = Projected(attention, batch, length, type);
        Passes.AssertSame(() => attention.ByOperators(q, k, v, reach), () => Mix(attention, q, k, v, reach), tolerance, q, k, v);
        using var noGrad = no_grad();
        Passes.AssertClose(attention.ByOperators(q, k, v, reach), Mix(attention, q, k, v, reach), tolerance);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Gradients_are_slopes_and_have_gradients(bool padded)
    {
        using var scope = NewDisposeScope();
        var attention = new ScaledAttention(4, 2, Width, 0.6);
        CausalReach reach = Reach(2, 45, padded, ScalarType.Float64);
        (Tensor q, Tensor k, Tensor v) = Projected(attention, 2, 45, ScalarType.Float64);
        Passes.AssertSlopes(() => Mix(attention, q, k, v, reach), q, k, v);
        Passes.AssertSameTwice(() => attention.ByOperators(q, k, v, reach), () => Mix(attention, q, k, v, reach), 1e-12, q, k, v);
    }

    [Fact]
    public void Views_of_one_projection_are_taken_as_they_are()
    {
        using var scope = NewDisposeScope();
        var attention = new ScaledAttention(4, 2, Width, 0.6);
        CausalReach reach = Reach(2, 45, false, ScalarType.Float64);
        Tensor all = Passes.Leaf(ScalarType.Float64, 1, 2, 45, 8 * Width);
        Tensor q = all.narrow(2, 0, 4 * Width), k = all.narrow(2, 4 * Width, 2 * Width), v = all.narrow(2, 6 * Width, 2 * Width);
        Passes.AssertSame(() => attention.ByOperators(q, k, v, reach), () => Mix(attention, q, k, v, reach), 1e-13, all);
        Tensor one = v.detach();
        Passes.AssertSame(() => attention.ByOperators(q, k, one, reach), () => Mix(attention, q, k, one, reach), 1e-13, all);
    }

    [Fact]
    public void What_is_no_plain_causal_attention_is_left_to_whole_matrices()
    {
        using var scope = NewDisposeScope();
        Tensor ids = ones([2, 5], dtype: ScalarType.Int64), like = ones(1), left = tensor(new long[] { 1, 1, 1, 1, 1, 0, 1, 1, 1, 1 }, [2, 5]);
        using var cache = new KeyValueCache(1, 9);
        Assert.NotNull(CausalReach.Of(new CausalInput(ids), null, like));
        Assert.NotNull(CausalReach.Of(new CausalInput(ids), 5, like));
        Assert.NotNull(CausalReach.Of(new CausalInput(ids) { AttentionMask = ones([2, 5]) }, null, like));
        Assert.Null(CausalReach.Of(new CausalInput(ids), 4, like));
        Assert.Null(CausalReach.Of(new CausalInput(ids) { AttentionMask = left }, null, like));
        Assert.Null(CausalReach.Of(new CausalInput(ids) { SequenceIds = ids }, null, like));
        Assert.Null(CausalReach.Of(new CausalInput(ids) { Cache = cache }, null, like));
        Assert.Null(CausalReach.Of(new CausalInput(ids.narrow(1, 0, 1)), null, like));
        Assert.Null(CausalReach.Of(new CausalInput(ids), null, like.to(ScalarType.BFloat16)));

        var attention = new ScaledAttention(4, 2, Width, 0.6);
        Assert.True(attention.TakesBlocks(training: true));
        Assert.False((attention with { SoftCap = 3 }).TakesBlocks(training: false));
        Assert.False((attention with { Dropout = 0.1 }).TakesBlocks(training: true));
        Assert.True((attention with { Dropout = 0.1 }).TakesBlocks(training: false));
    }

    [Fact]
    public void Nothing_stays_alive()
    {
        var attention = new ScaledAttention(4, 2, Width, 0.6);
        Leaks.AssertNone(5, () =>
        {
            using var scope = NewDisposeScope();
            CausalReach reach = Reach(2, 70, true, ScalarType.Float32);
            (Tensor q, Tensor k, Tensor v) = Projected(attention, 2, 70, ScalarType.Float32);
            Mix(attention, q, k, v, reach).sum().backward();
            IList<Tensor> gradients = autograd.grad([Mix(attention, q, k, v, reach).square().sum()], [q], create_graph: true);
            gradients[0].sum().backward();
        });
    }

    private static Tensor Mix(ScaledAttention attention, Tensor queries, Tensor keys, Tensor values, CausalReach reach) =>
        attention.Mix(queries, keys, values, new AttentionContext(queries.shape[1], null, null) { Causal = reach }, training: true);

    private static (Tensor Queries, Tensor Keys, Tensor Values) Projected(ScaledAttention attention, int batch, int length, ScalarType type) =>
    (
        Passes.Leaf(type, 1, batch, length, attention.Heads * Width),
        Passes.Leaf(type, 2, batch, length, attention.KeyValueHeads * Width),
        Passes.Leaf(type, 3, batch, length, attention.KeyValueHeads * Width));

    // The second text is two thirds as long, and what comes behind it is padding.
    private static CausalReach Reach(int batch, int length, bool padded, ScalarType type)
    {
        Tensor mask = ones([batch, length], dtype: ScalarType.Int64);
        int real = length * 2 / 3;
        if (padded) mask[1].narrow(0, real, length - real).zero_();
        return CausalReach.Of(new CausalInput(mask) { AttentionMask = mask }, null, ones([1], dtype: type))!;
    }
}
