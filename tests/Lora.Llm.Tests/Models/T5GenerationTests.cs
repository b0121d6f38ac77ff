using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

public sealed class T5GenerationTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;

    private static readonly int[] _lengths = [6, 2, 4];

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Neither_cache_nor_padding_changes_a_token(bool modern, bool left)
    {
        using T5Model model = TinyT5.Make(modern);
        using var scope = NewDisposeScope();
        var options = new GenerationOptions { MaxNewTokens = 15 };
        Tensor[] texts = [.. _lengths.Select((length, row) => TinyLlama.Ids(1, length, seed: row))];
        long[][] alone = [.. texts.Select(text => Values(model.Generate(text, options, cancellationToken: Token)))];
        Assert.True(alone.Select(row => string.Join(' ', row)).Distinct().Count() > 1);
        Assert.True(alone.SelectMany(row => row).Distinct().Count() > 4);

        Tensor ids = zeros([3, 6], dtype: ScalarType.Int64, device: TestDevice.Current), mask = zeros_like(ids);
        for (int row = 0; row < 3; row++)
        {
            int start = left ? 6 - _lengths[row] : 0;
            ids[row].narrow(0, start, _lengths[row]).copy_(texts[row][0]);
            mask[row].narrow(0, start, _lengths[row]).fill_(1);
        }
        foreach (bool cache in new[] { true, false })
        {
            long[] together = Values(model.Generate(ids, options with { UseCache = cache }, mask, cancellationToken: Token));
            Assert.Equal(alone.SelectMany(row => row), together);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Pieces_through_a_cache_give_the_logits_of_the_whole(bool modern)
    {
        using T5Model model = TinyT5.Make(modern);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(2, 5), written = TinyLlama.Ids(2, 9, seed: 8), mask = ones_like(ids);
        mask[1].narrow(0, 3, 2).zero_();
        Tensor whole = model.call(new SequenceToSequenceInput(ids, written) { AttentionMask = mask });
        using SequenceToSequenceCache cache = model.NewCache(9);
        long at = 0;
        foreach (int length in new[] { 3, 1, 4, 1 })
        {
            Tensor part = model.call(new SequenceToSequenceInput(ids, written.narrow(1, at, length)) { AttentionMask = mask, Cache = cache });
            Tensor wanted = whole.narrow(1, at, length);
            Assert.True(part.allclose(wanted, 1e-11, 1e-11), $"{part.sub(wanted).abs().max().ToDouble():G3}");
            at += length;
            Assert.Equal(at, cache.Length);
        }
    }

    [Fact]
    public void Rows_that_ended_are_filled_and_draws_follow_their_seed()
    {
        using T5Model model = TinyT5.Make();
        using var scope = NewDisposeScope();
        Tensor ids = TinyLlama.Ids(2, 5);
        var options = new GenerationOptions { MaxNewTokens = 12, Temperature = 1.2, Seed = 4 };
        long[][] free = [.. Values(model.Generate(ids, options, cancellationToken: Token)).Chunk(13)];
        Assert.Equal(free.SelectMany(row => row), Values(model.Generate(ids, options with { UseCache = false }, cancellationToken: Token)));
        int end = (int)free[0].Skip(1).First(id => !free[1].Contains(id));
        int stop = Array.IndexOf(free[0], end);
        long[][] found = [.. Values(model.Generate(ids, options with { EndTokenIds = [end], PadTokenId = 36 }, cancellationToken: Token)).Chunk(13)];
        Assert.Equal(free[0][..(stop + 1)], found[0][..(stop + 1)]);
        Assert.All(found[0][(stop + 1)..], id => Assert.Equal(36, id));
    }

    private static long[] Values(Tensor tensor) => tensor.cpu().data<long>().ToArray();
}
