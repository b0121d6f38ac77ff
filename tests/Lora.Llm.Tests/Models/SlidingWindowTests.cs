using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

public sealed class SlidingWindowTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(10)]
    public void A_token_depends_on_those_in_reach_alone(int window)
    {
        using MistralModel model = TinyDecoders.Mistral(window);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(1, 11), changed = ids.clone();
        using (Tensor place = changed.narrow(1, 2, 1)) place.copy_(ids.narrow(1, 2, 1).add(1).remainder(37));
        double[] changes = TinyLlama.Values(model.call(ids).sub(model.call(changed)).abs().amax([2]));
        // Two layers: what the first one brings into the window, the second one carries on.
        for (int position = 0; position < 11; position++)
            Assert.True(position >= 2 && position <= 2 + 2 * (window - 1) ? changes[position] > 1e-6 : changes[position] == 0, $"{position}: {changes[position]}");
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    public void A_window_as_wide_as_the_text_is_none(int window)
    {
        using MistralModel narrow = TinyDecoders.Mistral(window), wide = TinyDecoders.Mistral(null);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Assert.Equal(TinyLlama.Values(wide.call(TinyLlama.Ids(2, 11))), TinyLlama.Values(narrow.call(TinyLlama.Ids(2, 11))));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(6)]
    public void Pieces_through_a_cache_beyond_the_window_give_the_logits_of_the_whole(int window)
    {
        using MistralModel model = TinyDecoders.Mistral(window);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(2, 15), whole = model.call(ids);
        using KeyValueCache cache = model.NewCache(15);
        long at = 0;
        foreach (int length in new[] { 4, 1, 5, 1, 1, 3 })
        {
            Tensor part = model.call(new CausalInput(ids.narrow(1, at, length)) { Cache = cache });
            Assert.True(part.allclose(whole.narrow(1, at, length), 0, 1e-12));
            at += length;
        }
    }

    [Fact]
    public void Padding_on_the_left_goes_through_a_cache_beyond_the_window()
    {
        using MistralModel model = TinyDecoders.Mistral(3);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(1, 12), mask = ones([1, 12], dtype: ScalarType.Int64, device: TestDevice.Current);
        using (Tensor place = mask.narrow(1, 0, 3)) place.zero_();
        Tensor positions = mask.cumsum(-1).sub(1).clamp_min(0), alone = model.call(ids.narrow(1, 3, 9));
        using KeyValueCache cache = model.NewCache(20);
        long at = 0;
        foreach (int length in new[] { 5, 1, 4, 1, 1 })
        {
            Tensor part = model.call(new CausalInput(ids.narrow(1, at, length)) { Cache = cache, AttentionMask = mask.narrow(1, 0, at + length), PositionIds = positions.narrow(1, at, length) });
            long skipped = Math.Max(0, 3 - at);
            Assert.True(part.narrow(1, skipped, length - skipped).allclose(alone.narrow(1, at + skipped - 3, length - skipped), 0, 1e-12));
            at += length;
        }
    }
}
