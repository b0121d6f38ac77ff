using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

public sealed class KeyValueCacheTests
{
    [Fact]
    public void Pieces_through_a_cache_give_the_logits_of_the_whole()
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(2, 11), whole = model.call(ids);
        using KeyValueCache cache = model.NewCache(11);
        long at = 0;
        foreach (int length in new[] { 4, 1, 5, 1 })
        {
            Tensor part = model.call(new CausalInput(ids.narrow(1, at, length)) { Cache = cache });
            Assert.True(part.allclose(whole.narrow(1, at, length), 0, 1e-12));
            at += length;
            Assert.Equal(at, cache.Length);
        }
        Assert.Equal(11, cache.Capacity);
    }

    [Fact]
    public void Padding_on_the_left_goes_through_a_cache()
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(1, 9), mask = ones([1, 9], dtype: ScalarType.Int64, device: TestDevice.Current);
        using (Tensor place = mask.narrow(1, 0, 3)) place.zero_();
        Tensor positions = mask.cumsum(-1).sub(1).clamp_min(0), alone = model.call(ids.narrow(1, 3, 6));
        using KeyValueCache cache = model.NewCache(20);
        model.call(new CausalInput(ids.narrow(1, 0, 6)) { Cache = cache, AttentionMask = mask.narrow(1, 0, 6), PositionIds = positions.narrow(1, 0, 6) });
        Tensor last = model.call(new CausalInput(ids.narrow(1, 6, 3)) { Cache = cache, AttentionMask = mask, PositionIds = positions.narrow(1, 6, 3) });
        Assert.True(last.allclose(alone.narrow(1, 3, 3), 0, 1e-12));
    }

    [Fact]
    public void A_full_cache_says_so_and_stays_as_it_was()
    {
        using LlamaModel model = TinyLlama.Make();
        using var scope = NewDisposeScope();
        using KeyValueCache cache = model.NewCache(6);
        model.call(new CausalInput(TinyLlama.Ids(1, 4)) { Cache = cache });
        var error = Assert.Throws<InvalidOperationException>(() => model.call(new CausalInput(TinyLlama.Ids(1, 3)) { Cache = cache }));
        Assert.Equal("The cache holds 4 of 6 positions and cannot take 3 more: make it with a larger capacity.", error.Message);
        Assert.Equal(4, cache.Length);
        model.call(new CausalInput(TinyLlama.Ids(1, 2)) { Cache = cache });
        Assert.Equal(6, cache.Length);
    }

    [Fact]
    public void Memory_is_taken_for_what_is_held_and_not_for_the_capacity()
    {
        using LlamaModel model = TinyLlama.Make();
        using var scope = NewDisposeScope();
        using KeyValueCache cache = model.NewCache(int.MaxValue);
        Tensor ids = TinyLlama.Ids(1, 1100), whole = model.call(ids), worst = zeros([]);
        foreach ((int start, int length) in new[] { (0, 500), (500, 530), (1030, 1), (1031, 69) })
        {
            Tensor piece = model.call(new CausalInput(ids.narrow(1, start, length)) { Cache = cache });
            worst = maximum(worst, piece.sub(whole.narrow(1, start, length)).abs().max().cpu());
        }
        Assert.Equal(1100, cache.Length);
        Assert.InRange(worst.ToDouble(), 0, 1e-4);
    }

    [Fact]
    public void A_cache_serves_one_batch_of_one_model()
    {
        using LlamaModel model = TinyLlama.Make(), deeper = TinyLlama.Make(TinyLlama.Config with { Layers = 3 });
        using var scope = NewDisposeScope();
        using KeyValueCache cache = model.NewCache(9);
        model.call(new CausalInput(TinyLlama.Ids(2, 4)) { Cache = cache });
        const string text = "The cache was filled by another model or with another number of texts: make a new one for each batch.";
        Assert.Equal(text, Assert.Throws<InvalidOperationException>(() => model.call(new CausalInput(TinyLlama.Ids(1, 1)) { Cache = cache })).Message);
        Assert.Equal(text, Assert.Throws<InvalidOperationException>(() => deeper.call(new CausalInput(TinyLlama.Ids(2, 1)) { Cache = cache })).Message);
    }

    [Fact]
    public void A_cache_is_checked_when_made_and_after_its_end()
    {
        using LlamaModel model = TinyLlama.Make();
        Assert.Throws<ArgumentOutOfRangeException>("capacity", () => model.NewCache(0));
        KeyValueCache cache = model.NewCache(3);
        cache.Dispose();
        cache.Dispose();
        using var scope = NewDisposeScope();
        Assert.Throws<ObjectDisposedException>(() => model.call(new CausalInput(TinyLlama.Ids(1, 2)) { Cache = cache }));
    }
}
