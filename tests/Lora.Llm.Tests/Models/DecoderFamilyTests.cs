using System.Text.Json.Nodes;
using Lora.Llm.Blocks;
using Lora.Serialization;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>What holds for each of the families beside Llama's next of kin.</summary>
public sealed class DecoderFamilyTests
{
    [Theory]
    [InlineData("gemma2")]
    [InlineData("gemma3_text")]
    [InlineData("gpt2")]
    [InlineData("phi3")]
    public void Pieces_through_a_cache_give_the_logits_of_the_whole_and_padding_on_either_side_changes_nothing(string type)
    {
        using CausalLanguageModel model = TinyDecoders.Make(type);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(2, 15), whole = model.call(ids);
        using (KeyValueCache cache = model.NewCache(15))
        {
            long at = 0;
            foreach (int length in new[] { 4, 1, 5, 1, 1, 3 })
            {
                Assert.True(model.call(new CausalInput(ids.narrow(1, at, length)) { Cache = cache }).allclose(whole.narrow(1, at, length), 0, 1e-11));
                at += length;
            }
        }
        Tensor one = ids.narrow(0, 0, 1), pad = zeros([1, 3], dtype: ScalarType.Int64, device: TestDevice.Current), real = ones([1, 15], dtype: ScalarType.Int64, device: TestDevice.Current);
        Tensor left = cat([pad, real], 1);
        Tensor padded = model.call(new CausalInput(cat([pad, one], 1)) { AttentionMask = left, PositionIds = left.cumsum(-1).sub(1).clamp_min(0) });
        Assert.True(padded.narrow(1, 3, 15).allclose(whole.narrow(0, 0, 1), 0, 1e-11));
        Tensor right = model.call(new CausalInput(cat([one, pad], 1)) { AttentionMask = cat([real, pad], 1) });
        Assert.True(right.narrow(1, 0, 15).allclose(whole.narrow(0, 0, 1), 0, 1e-11));
        Assert.True(model.call(new CausalInput(ids) { LogitsToKeep = 2 }).allclose(whole.narrow(1, 13, 2), 0, 1e-11));
    }

    [Fact]
    public void Texts_beyond_the_learned_positions_are_refused()
    {
        using Gpt2Model model = TinyDecoders.Gpt2();
        using var scope = NewDisposeScope();
        Assert.Equal("The text has 25 positions, but the model has learned 24: give a shorter one.", Assert.Throws<ArgumentException>(() => model.call(TinyLlama.Ids(1, 25))).Message);
    }

    [Fact]
    public void Dropout_of_the_base_is_that_of_training_alone()
    {
        using Gpt2Model model = TinyDecoders.Gpt2();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(1, 5);
        double[] quiet = TinyLlama.Values(model.call(ids));
        Assert.Equal(quiet, TinyLlama.Values(model.call(ids)));
        model.train();
        Assert.NotEqual(quiet, TinyLlama.Values(model.call(ids)));
    }

    // As on the hub: names without "transformer.", and the tables of what a token may look at.
    [Fact]
    public void A_file_of_GPT_2_without_its_head_is_read()
    {
        using Gpt2Model model = TinyDecoders.Gpt2(ScalarType.Float32);
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        File.WriteAllText(folder["config.json"], new JsonObject
        {
            ["model_type"] = "gpt2",
            ["vocab_size"] = 37,
            ["n_embd"] = 20,
            ["n_inner"] = 27,
            ["n_layer"] = 2,
            ["n_head"] = 5,
            ["n_positions"] = 24,
            ["scale_attn_by_inverse_layer_idx"] = true,
        }.ToJsonString());
        Dictionary<string, Tensor> tensors = model.named_parameters().ToDictionary(p => p.name["transformer.".Length..], p => p.parameter.detach());
        tensors["h.0.attn.bias"] = ones(1, 1, 24, 24);
        tensors["h.1.attn.masked_bias"] = ones(1);
        SafetensorsWriter.Save(folder["model.safetensors"], tensors);
        using Gpt2Model loaded = Gpt2Model.FromPretrained(folder.Path, new PretrainedOptions { Device = TestDevice.Current });
        Assert.Equal(TinyLlama.Values(model.call(TinyLlama.Ids(2, 7))), TinyLlama.Values(loaded.call(TinyLlama.Ids(2, 7))));
        Assert.Equal((0.1, 0.1, 0.1, 50256), (loaded.Config.EmbeddingDropout, loaded.Config.ResidualDropout, loaded.Config.AttentionDropout, loaded.Config.BeginTokenId));
        Assert.Equal([50256], loaded.EndTokenIds);
    }

    // transformers' _compute_longrope_parameters, restated.
    [Theory]
    [InlineData(6, false)]
    [InlineData(7, true)]
    public void Longrope_has_other_frequencies_for_texts_beyond_the_original_length(int length, bool isLong)
    {
        double[] shorts = [1.5, 2], longs = [3, 5];
        double factor = 48.0 / 6, grown = Math.Sqrt(1 + Math.Log(factor) / Math.Log(6));
        using var positions = new RotaryPositions(new LongRope(500, shorts, longs, 6, grown), 4);
        using var scope = NewDisposeScope();
        (Tensor cosine, _) = positions.For(0, length, null, zeros([1], dtype: ScalarType.Float64, device: TestDevice.Current));
        double[] found = TinyLlama.Values(cosine);
        for (int p = 0; p < length; p++)
        {
            for (int i = 0; i < 4; i++)
                Assert.Equal(Math.Cos(p / ((isLong ? longs : shorts)[i % 2] * Math.Pow(500, 2 * (i % 2) / 4.0))) * grown, found[p * 4 + i], 1e-13);
        }
    }

    [Fact]
    public void Generation_across_the_original_length_of_longrope_computes_the_cache_anew()
    {
        Phi3Config config = new()
        {
            VocabularySize = 37,
            HiddenSize = 20,
            IntermediateSize = 27,
            Layers = 2,
            Heads = 6,
            KeyValueHeads = 2,
            HeadDimension = 4,
        };
        using Phi3Model model = TinyLlama.Filled(new Phi3Model(config with { Rope = new LongRope(500, [1.5, 2], [3, 5], 6, 1.3) }, ScalarType.Float64, TestDevice.Current));
        using var scope = NewDisposeScope();
        Tensor ids = TinyLlama.Ids(2, 4);
        var options = new GenerationOptions { MaxNewTokens = 8, EndTokenIds = [] };
        Assert.Equal(Tokens(model.Generate(ids, options with { UseCache = false }, cancellationToken: TestContext.Current.CancellationToken)), Tokens(model.Generate(ids, options, cancellationToken: TestContext.Current.CancellationToken)));
        using var noGrad = no_grad();
        using KeyValueCache cache = model.NewCache(9);
        model.call(new CausalInput(ids) { Cache = cache });
        Assert.Contains("give the whole text again", Assert.Throws<InvalidOperationException>(() => model.call(new CausalInput(ids) { Cache = cache })).Message, StringComparison.Ordinal);

        static long[] Tokens(Tensor tensor) => tensor.cpu().data<long>().ToArray();
    }
}
