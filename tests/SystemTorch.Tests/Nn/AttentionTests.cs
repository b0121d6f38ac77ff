using TorchSharp;
using static SystemTorch.Tests.Nn.Inputs;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Nn;

/// <summary>Attention composed of plain operators, as libtorch 1.13 needs it. Expected numbers are PyTorch's.</summary>
public class AttentionTests
{
    private static Tensor Composed(Tensor q, Tensor k, Tensor v, Tensor? mask = null, bool causal = false) =>
        nn.functional.ComposedAttention(q, k, v, mask, 0, causal);

    [Fact]
    public void ARowWithoutAnythingToSeeIsZeroAndPassesNoGradient()
    {
        Tensor x = Wave(2, 3, 4).requires_grad_(), allowed = ones(3, 3, dtype: ScalarType.Bool);
        allowed.select(0, 1).fill_(false);

        Tensor output = Composed(x, x, x, allowed);
        output.select(1, 1).sum().backward();

        Assert.Equal(0f, output.select(1, 1).abs().max().item<float>());
        Assert.False(output.isnan().any().item<bool>());
        Assert.Equal(0f, x.grad.abs().max().item<float>());
    }

    [Fact]
    public void AFloatMaskGetsItsGradient()
    {
        Tensor x = Wave(2, 3, 4), bias = Wave(3, 3).requires_grad_(), same = Wave(3, 3).requires_grad_();

        Composed(x, x, x, bias).pow(2).sum().backward();
        ((x / 2).matmul(x.transpose(-2, -1)) + same).softmax(-1).matmul(x).pow(2).sum().backward();

        Assert.True(bias.grad.allclose(same.grad, atol: 1e-5));
    }

    [Fact]
    public void CausalIsTheLowerTriangleAlsoForMoreKeysThanQueries()
    {
        Tensor q = Wave(1, 3, 4), k = Wave(1, 5, 4), triangle = ones(3, 5, dtype: ScalarType.Bool).tril();
        Assert.True(Composed(q, k, k, causal: true).allclose(Composed(q, k, k, triangle), atol: 1e-6));
    }

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void SixteenBitInputsKeepTheirTypeInBothDirections(ScalarType type)
    {
        Tensor exact = Wave(2, 3, 4), x = Wave(2, 3, 4).to(type).requires_grad_();

        Tensor output = nn.functional.scaled_dot_product_attention(x, x, x, is_casual: true);
        output.sum().backward();

        Assert.Equal(type, output.dtype);
        Assert.Equal(type, x.grad.dtype);
        Assert.True(output.to(ScalarType.Float32).allclose(Composed(exact, exact, exact, causal: true), rtol: 0.02, atol: 0.02));
    }

    [Fact]
    public void DropoutOfAttentionIsDrawnFromTheSeed()
    {
        Tensor x = Wave(2, 8, 4);
        Tensor Draw(long seed)
        {
            manual_seed(seed);
            return nn.functional.scaled_dot_product_attention(x, x, x, p: 0.5);
        }

        Assert.True(Draw(1).allclose(Draw(1)));
        Assert.False(Draw(1).allclose(Draw(2)));
    }

    [Fact]
    public void HeadsTakeAPaddingMaskAndAFloatMask()
    {
        Tensor x = Wave(3, 2, 4);
        Tensor padding = tensor(new[] { false, false, true, false, true, false }).reshape(2, 3);
        Tensor mask = tensor(new[] { 0, -1, 0.5f, 0, 0, 0, 1, 0, float.NegativeInfinity }).reshape(3, 3);

        (Tensor output, Tensor weights) = Filled(nn.MultiheadAttention(4, 2)).call(x, x, x, padding, true, mask);

        Close([2.4004f, -1.9750f, 4.1943f, -2.5433f, 1.6972f, -0.9049f], output);
        Close([0.1446f, 0.8554f, 0, 0.0597f, 0.9403f, 0, 0.3754f, 0.6246f, 0], weights);
    }

    [Fact]
    public void HeadsTakeFurtherKeysAndAZeroKey()
    {
        Tensor x = Wave(3, 2, 4);
        Tensor padding = tensor(new[] { false, false, true, false, true, false }).reshape(2, 3);
        Tensor mask = tensor(new[] { 0, -1, 0.5f, 0, 0, 0, 1, 0, float.NegativeInfinity }).reshape(3, 3);
        var attention = Filled(nn.MultiheadAttention(4, 2, add_bias_kv: true, add_zero_attn: true));

        (Tensor output, Tensor weights) = attention.call(x, x, x, padding, true, mask);

        Assert.Equal(["in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj.weight", "out_proj.bias"], attention.named_parameters().Select(p => p.name));
        Assert.Equal([2, 3, 5], weights.shape);
        Close([2.6183f, -1.6655f, 3.3932f, -1.3431f, 1.6847f, -0.8775f], output);
        Close([0.0634f, 0.3966f, 0, 0.4360f, 0.1039f, 0.0428f, 0.4394f, 0, 0.4122f, 0.1056f], weights);
    }

    [Fact]
    public void HeadsTrainThroughTheirListedParametersAndConvert()
    {
        Tensor x = Wave(3, 2, 4);
        var attention = nn.MultiheadAttention(4, 2);
        attention.call(x, x, x).Item1.sum().backward();
        Assert.All(attention.parameters(), p => Assert.NotNull(p.grad));

        attention.to(ScalarType.BFloat16);
        Assert.All(attention.parameters(), p => Assert.Equal(ScalarType.BFloat16, p.dtype));
        Tensor low = x.to(ScalarType.BFloat16);
        Assert.Equal(ScalarType.BFloat16, attention.call(low, low, low).Item1.dtype);
    }
}
