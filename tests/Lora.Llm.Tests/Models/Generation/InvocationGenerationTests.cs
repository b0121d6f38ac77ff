using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Generation;

/// <summary>Adapters behind invocation tokens, with and without a cache: what comes before is the base's, so that the base's cache can be used on.</summary>
public sealed class InvocationGenerationTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    private static LoraConfig Config => LoraConfig.AllLinear(rank: 2, alpha: 5) with { InvocationTokens = [36, 35], TargetModules = ModuleSelector.EndsWith("q_proj", "k_proj", "v_proj", "down_proj", "lm_head") };

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Parts_of_a_text_give_what_the_whole_does()
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using LoraModel<LlamaModel> lora = Wrap(model);
        Tensor ids = Prompt();
        using var noGrad = no_grad();
        Tensor whole = model.call(ids);
        // Cuts before and behind the invocation: one within it would leave its first part to the base.
        foreach (int[] cuts in new[] { new[] { 4, 9 }, [2, 9], [4, 6, 7, 8, 9] })
        {
            using KeyValueCache cache = model.NewCache(16);
            int from = 0;
            foreach (int to in cuts)
            {
                using Tensor logits = model.call(new CausalInput(ids.narrow(1, from, to - from)) { Cache = cache });
                AssertClose(whole.narrow(1, from, to - from), logits);
                from = to;
            }
        }
        Assert.Equal([5, null, 5], lora.InvocationOffsets("default"));
    }

    // What is in the cache stays as it was computed, when nothing was known of what follows.
    [Fact]
    public void A_second_invocation_leaves_the_cache_as_it_is()
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using LoraModel<LlamaModel> lora = Wrap(model);
        using var noGrad = no_grad();
        Tensor ids = tensor(new long[,] { { 3, 36, 35, 4, 36, 35, 7 } }, device: TestDevice.Current), first = ids.narrow(1, 0, 4), expected = model.call(first);
        using KeyValueCache cache = model.NewCache(8);
        AssertClose(expected, model.call(new CausalInput(first) { Cache = cache }));
        Assert.Equal([3], lora.InvocationOffsets("default"));
        Tensor rest = model.call(new CausalInput(ids.narrow(1, 4, 3)) { Cache = cache });
        Assert.Equal([3], lora.InvocationOffsets("default"));
        // As if it had been invoked from the first on.
        using (lora.WithTokens(tensor(new long[,] { { 3, 36, 35, 4, 5, 5, 7 } }, device: TestDevice.Current))) AssertClose(model.call(ids).narrow(1, 4, 3), rest);
    }

    [Fact]
    public void The_bases_cache_is_used_on()
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using LoraModel<LlamaModel> lora = Wrap(model);
        Tensor ids = Prompt();
        using var noGrad = no_grad();
        Tensor whole = model.call(ids), plain;
        using KeyValueCache cache = model.NewCache(16);
        using (lora.Disable())
        {
            plain = model.call(ids);
            model.call(new CausalInput(ids.narrow(1, 0, 4)) { Cache = cache }).Dispose();
        }
        AssertClose(whole.narrow(1, 4, 5), model.call(new CausalInput(ids.narrow(1, 4, 5)) { Cache = cache }));
        AssertClose(plain[1], whole[1]);
        AssertClose(plain.narrow(1, 0, 4), whole.narrow(1, 0, 4));
        Assert.True(Difference(plain[0], whole[0]) > 0.01);
        // The last position alone goes through the head.
        AssertClose(whole.narrow(1, 8, 1), model.call(new CausalInput(ids) { LogitsToKeep = 1 }));
    }

    [Fact]
    public void Texts_are_generated_alike_with_and_without_a_cache()
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using LoraModel<LlamaModel> lora = Wrap(model);
        var options = new GenerationOptions { MaxNewTokens = 8, EndTokenIds = [] };
        Tensor cached = Generate(options), computed = Generate(options with { UseCache = false }), plain;
        using (lora.Disable()) plain = Generate(options);
        Assert.Equal(computed.data<long>().ToArray(), cached.data<long>().ToArray());
        Assert.Equal(plain[1].data<long>().ToArray(), cached[1].data<long>().ToArray());
        Assert.NotEqual(plain.data<long>().ToArray(), cached.data<long>().ToArray());

        Tensor Generate(GenerationOptions chosen) => model.Generate(Prompt(), chosen, cancellationToken: TestContext.Current.CancellationToken);
    }

    private static LoraModel<LlamaModel> Wrap(LlamaModel model)
    {
        LoraModel<LlamaModel> lora = LoraModel.Wrap(model, Config);
        using var noGrad = no_grad();
        using var generator = new Generator(5);
        foreach (var parameter in lora.TrainableParameters()) parameter.copy_(randn(parameter.shape, generator: generator).mul(0.4));
        return lora;
    }

    // Invoked at 4, never, and at 4 again.
    private static Tensor Prompt() => tensor(
        new long[,] { { 3, 9, 1, 4, 36, 35, 7, 8, 2 }, { 5, 36, 2, 35, 8, 36, 6, 9, 1 }, { 8, 35, 3, 2, 36, 35, 11, 12, 13 } }, device: TestDevice.Current);

    private static double Difference(Tensor a, Tensor b) => a.sub(b).abs().max().ToDouble();

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        double difference = Difference(expected, actual);
        Assert.True(difference < 1e-11, $"The largest difference is {difference:G4}.");
    }
}
