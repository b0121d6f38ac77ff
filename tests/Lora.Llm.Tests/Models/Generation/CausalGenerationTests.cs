using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Generation;

public sealed class CausalGenerationTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0)]
    [InlineData(0.9)]
    public void A_cache_changes_no_token(double temperature)
    {
        using LlamaModel model = TinyLlama.Make();
        using var scope = NewDisposeScope();
        Tensor prompt = TinyLlama.Ids(3, 5);
        var options = new GenerationOptions { MaxNewTokens = 20, Temperature = temperature, Seed = 11 };
        long[] with = Values(model.Generate(prompt, options, cancellationToken: Token));
        Assert.Equal(Values(model.Generate(prompt, options with { UseCache = false }, cancellationToken: Token)), with);
        Assert.Equal(3 * 25, with.Length);
    }

    [Fact]
    public void Greedy_generation_takes_the_most_probable_token_of_the_restatement()
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using var scope = NewDisposeScope();
        Tensor prompt = TinyLlama.Ids(1, 4);
        List<long> wanted = [.. Values(prompt)];
        var naive = new NaiveLlama(model);
        for (int i = 0; i < 8; i++)
        {
            double[] last = naive.Logits([.. wanted])[^1];
            wanted.Add(Array.IndexOf(last, last.Max()));
        }
        Assert.Equal(wanted, Values(model.Generate(prompt, new GenerationOptions { MaxNewTokens = 8 }, cancellationToken: Token)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Prompts_padded_on_the_left_are_continued_as_each_alone(bool useCache)
    {
        using LlamaModel model = TinyLlama.Make();
        using var scope = NewDisposeScope();
        var options = new GenerationOptions { MaxNewTokens = 12, UseCache = useCache };
        int[] lengths = [7, 3, 1];
        Tensor ids = zeros([3, 7], dtype: ScalarType.Int64), mask = zeros([3, 7], dtype: ScalarType.Int64);
        Tensor[] prompts = [.. lengths.Select((length, row) => TinyLlama.Ids(1, length, seed: row))];
        for (int row = 0; row < 3; row++)
        {
            ids[row].narrow(0, 7 - lengths[row], lengths[row]).copy_(prompts[row][0]);
            mask[row].narrow(0, 7 - lengths[row], lengths[row]).fill_(1);
        }
        long[][] together = [.. Values(model.Generate(ids.to(TestDevice.Current), options, mask.to(TestDevice.Current), cancellationToken: Token)).Chunk(19)];
        for (int row = 0; row < 3; row++)
            Assert.Equal(Values(model.Generate(prompts[row], options, cancellationToken: Token)), together[row][(7 - lengths[row])..]);
    }

    [Fact]
    public void Rows_that_ended_are_filled_and_all_ended_stops()
    {
        using LlamaModel model = TinyLlama.Make();
        using var scope = NewDisposeScope();
        Tensor prompt = TinyLlama.Ids(2, 5);
        long[][] free = [.. Values(model.Generate(prompt, new GenerationOptions { MaxNewTokens = 15 }, cancellationToken: Token)).Chunk(20)];
        // An end token for each row, that of the first row coming up sooner.
        int first = FirstNew(free[0], 1), second = FirstNew(free[1], first + 2);
        int[] ends = [(int)free[0][5 + first], (int)free[1][5 + second]];
        int[] stops = [.. free.Select(row => Array.FindIndex(row, 5, id => ends.Contains((int)id)))];
        Assert.NotEqual(stops[0], stops[1]);

        var seen = new List<long[]>();
        var options = new GenerationOptions { MaxNewTokens = 15, EndTokenIds = ends, PadTokenId = 36 };
        long[][] found = [.. Values(model.Generate(prompt, options, onTokens: tokens => seen.Add([.. tokens]), cancellationToken: Token)).Chunk(stops.Max() + 1)];
        Assert.Equal(2, found.Length);
        for (int row = 0; row < 2; row++)
        {
            Assert.Equal(free[row][..(stops[row] + 1)], found[row][..(stops[row] + 1)]);
            Assert.All(found[row][(stops[row] + 1)..], id => Assert.Equal(36, id));
            Assert.Equal(found[row][5..], seen.Select(tokens => tokens[row]));
        }

        // The model's own end tokens count when none are given, and the first of them fills.
        using LlamaModel ending = TinyLlama.Make(TinyLlama.Config with { EndTokenIds = ends });
        long[] own = Values(ending.Generate(prompt, new GenerationOptions { MaxNewTokens = 15 }, cancellationToken: Token));
        Assert.Equal(found.SelectMany(row => row).Select(id => id == 36 ? ends[0] : id), own);
    }

    [Fact]
    public void A_seed_reproduces_the_draws_and_another_gives_others()
    {
        using LlamaModel model = TinyLlama.Make();
        using var scope = NewDisposeScope();
        Tensor prompt = TinyLlama.Ids(2, 3);
        var options = new GenerationOptions { MaxNewTokens = 20, Temperature = 1.3, Seed = 5 };
        long[] one = Values(model.Generate(prompt, options, cancellationToken: Token));
        manual_seed(99);
        Assert.Equal(one, Values(model.Generate(prompt, options, cancellationToken: Token)));
        Assert.NotEqual(one, Values(model.Generate(prompt, options with { Seed = 6 }, cancellationToken: Token)));
    }

    [Fact]
    public void Cancellation_stops_between_two_tokens_and_restores_the_mode()
    {
        using LlamaModel model = TinyLlama.Make();
        model.train();
        using var scope = NewDisposeScope();
        using var source = new CancellationTokenSource();
        int steps = 0;
        Assert.Throws<OperationCanceledException>(() => model.Generate(
            TinyLlama.Ids(1, 3), new GenerationOptions { MaxNewTokens = 50 }, onTokens: _ => { if (++steps == 4) source.Cancel(); }, cancellationToken: source.Token));
        Assert.Equal(4, steps);
        Assert.True(model.training);
    }

    [Fact]
    public void What_cannot_be_continued_is_refused()
    {
        using LlamaModel model = TinyLlama.Make();
        using var scope = NewDisposeScope();
        Tensor ids = TinyLlama.Ids(2, 3), mask = ones([2, 3], dtype: ScalarType.Int64, device: TestDevice.Current);
        Refuse(() => model.Generate(ids[0], cancellationToken: Token), "promptIds", "The prompt must have the shape [batch, length] with at least one token, but has [3].");
        Refuse(() => model.Generate(ids.narrow(1, 0, 0), cancellationToken: Token), "promptIds", "The prompt must have the shape [batch, length] with at least one token, but has [2, 0].");
        Refuse(() => model.Generate(ids, attentionMask: mask[0], cancellationToken: Token), "attentionMask", "The mask must have the prompt's shape [2, 3], but has [3].");
        using (Tensor place = mask.narrow(1, 2, 1).narrow(0, 1, 1)) place.zero_();
        Refuse(() => model.Generate(ids, attentionMask: mask, cancellationToken: Token), "attentionMask", "A prompt ends with padding, which would be continued: pad prompts on the left.");

        static void Refuse(Func<Tensor> act, string parameter, string text) =>
            Assert.Equal($"{text} (Parameter '{parameter}')", Assert.Throws<ArgumentException>(parameter, act).Message);
    }

    [Fact]
    public void Options_out_of_range_are_listed()
    {
        var error = Assert.Throws<ArgumentException>(new GenerationOptions { MaxNewTokens = 0, Temperature = -0.5, TopK = -1, TopP = 0 }.Validate);
        Assert.Equal(
            """
            The generation cannot start:
              - MaxNewTokens must be at least 1, but is 0.
              - Temperature must be 0 or above, but is -0.5.
              - TopK must be 0 or above, but is -1.
              - TopP must be above 0 and at most 1, but is 0.
            """.ReplaceLineEndings("\n"),
            error.Message);
    }

    private static int FirstNew(long[] row, int from) =>
        Enumerable.Range(from, 15 - from).First(i => Array.IndexOf(row, row[5 + i], 5) == 5 + i);

    private static long[] Values(Tensor tensor) => tensor.cpu().data<long>().ToArray();

    [Fact]
    public void Tokens_that_the_vocabulary_lacks_are_named()
    {
        using LlamaModel model = TinyLlama.Make();
        using var scope = NewDisposeScope();
        foreach (long unknown in new[] { 37L, -1L })
        {
            Tensor prompt = tensor(new[] { 3, unknown, 5 }, device: TestDevice.Current).unsqueeze(0);
            Assert.Equal(
                $"There is the token {unknown}, but the model's vocabulary has 37 tokens, counted from 0: use the model's own tokenizer. (Parameter 'promptIds')",
                Assert.Throws<ArgumentException>(() => model.Generate(prompt, cancellationToken: Token)).Message);
        }
        Assert.Equal(
            "PadTokenId is 37, but the model's vocabulary has 37 tokens.",
            Assert.Throws<ArgumentException>(() => model.Generate(TinyLlama.Ids(2, 3), new GenerationOptions { PadTokenId = 37 }, cancellationToken: Token)).Message);
    }

    [Fact]
    public void A_text_without_a_limit_ends_with_its_end_token()
    {
        using LlamaModel model = TinyLlama.Make();
        using var scope = NewDisposeScope();
        Tensor prompt = TinyLlama.Ids(2, 5);
        var options = new GenerationOptions { MaxNewTokens = 6, EndTokenIds = [] };
        long[] few = Values(model.Generate(prompt, options, cancellationToken: Token));
        int[] last = [(int)few[10], (int)few[21]];
        long[] unlimited = Values(model.Generate(prompt, options with { MaxNewTokens = int.MaxValue, EndTokenIds = last }, cancellationToken: Token));
        Assert.InRange(unlimited.Length, 2 * 6, few.Length);
    }
}
