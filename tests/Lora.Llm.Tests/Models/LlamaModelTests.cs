using Lora.Llm.Blocks;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

public sealed class LlamaModelTests
{
    private static readonly LlamaConfig Biased = TinyLlama.Config with { AttentionBias = true, MlpBias = true, TieEmbeddings = true, Rope = new Llama3Rope(100, 3, 1.5, 6, 10) };

    public static TheoryData<bool, ScalarType, double> Kinds => new()
    {
        { false, ScalarType.Float64, 1e-12 },
        { true, ScalarType.Float64, 1e-12 },
        { false, ScalarType.Float32, 1e-5 },
        { true, ScalarType.Float32, 1e-5 },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Logits_are_those_of_the_restatement(bool biased, ScalarType type, double tolerance)
    {
        using LlamaModel model = TinyLlama.Make(biased ? Biased : null, type);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(2, 13);
        Tensor logits = model.call(ids);
        Assert.Equal([2, 13, 37], logits.shape);
        Assert.Equal(type, logits.dtype);
        var naive = new NaiveLlama(model);
        for (int row = 0; row < 2; row++) Near(naive.Logits(Row(ids, row)), logits[row], tolerance);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Padding_changes_nothing_for_the_tokens(bool onTheLeft)
    {
        using LlamaModel model = TinyLlama.Make(Biased, ScalarType.Float64);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        const int length = 9, padded = 4;
        Tensor ids = TinyLlama.Ids(2, length), mask = ones([2, length], dtype: ScalarType.Int64, device: TestDevice.Current);
        using (Tensor place = mask.select(0, 1).narrow(0, onTheLeft ? 0 : length - padded, padded)) place.zero_();
        Tensor positions = mask.cumsum(-1).sub(1).clamp_min(0);
        Tensor logits = model.call(new CausalInput(ids) { AttentionMask = mask, PositionIds = positions });

        bool[] real = [.. mask[1].cpu().data<long>().ToArray().Select(m => m == 1)];
        var naive = new NaiveLlama(model);
        Near(naive.Logits(Row(ids, 0)), logits[0], 1e-12);
        double[][] wanted = naive.Logits(Row(ids, 1), real), found = Rows(logits[1]);
        for (int i = 0; i < length; i++)
        {
            Assert.All(found[i], value => Assert.True(double.IsFinite(value)));
            if (real[i]) Assert.Equal(wanted[i], found[i], (a, b) => Math.Abs(a - b) <= 1e-12);
        }
    }

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void Rows_of_padding_alone_stay_finite_in_half_precision(ScalarType type)
    {
        using LlamaModel model = TinyLlama.Make(dataType: type);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        // Scores far below zero: adding the lowest number to them would overflow.
        foreach ((string name, var parameter) in model.named_parameters())
            if (name.Contains("_proj", StringComparison.Ordinal)) parameter.mul_(6);
        Tensor mask = ones([1, 8], dtype: ScalarType.Int64, device: TestDevice.Current);
        using (Tensor place = mask.narrow(1, 0, 5)) place.zero_();
        Tensor logits = model.call(new CausalInput(TinyLlama.Ids(1, 8)) { AttentionMask = mask });
        Assert.Equal(type, logits.dtype);
        Assert.True(logits.isfinite().all().item<bool>());
    }

    [Fact]
    public void Half_precision_is_near_full_precision()
    {
        using LlamaModel model = TinyLlama.Make(), half = TinyLlama.Make(dataType: ScalarType.BFloat16);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(1, 6), wanted = model.call(ids);
        Tensor difference = half.call(ids).to(ScalarType.Float32).sub(wanted);
        Assert.True(difference.norm().item<float>() < 0.03f * wanted.norm().item<float>());
    }

    [Fact]
    public void Last_logits_alone_are_the_last_of_all()
    {
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(2, 7), all = model.call(ids), last = model.call(new CausalInput(ids) { LogitsToKeep = 3 });
        Assert.Equal([2, 3, 37], last.shape);
        Assert.True(all.narrow(1, 4, 3).allclose(last, 0, 1e-13));
        Assert.Equal(all.shape, model.call(new CausalInput(ids) { LogitsToKeep = 9 }).shape);
    }

    // embedding, head unless tied; per layer: q, o of heads·width, k, v of shared heads·width, three of the feed-forward, two norms; the last norm.
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void The_number_of_parameters_follows_from_the_configuration(bool tied, bool biased)
    {
        LlamaConfig c = TinyLlama.Config with { TieEmbeddings = tied, AttentionBias = biased, MlpBias = biased, Layers = 3 };
        long h = c.HiddenSize, f = c.IntermediateSize, q = c.Heads * c.HeadDimension, k = c.KeyValueHeads * c.HeadDimension;
        long layer = 2 * h * q + 2 * h * k + 3 * h * f + 2 * h + (biased ? q + 2 * k + h + 2 * f + h : 0);
        using var model = new LlamaModel(c, device: TestDevice.Current);
        Assert.Equal((tied ? 1 : 2) * c.VocabularySize * h + 3 * layer + h, model.parameters().Sum(p => p.numel()));
    }

    [Fact]
    public void Modules_have_the_paths_of_transformers()
    {
        using LlamaModel model = TinyLlama.Make(TinyLlama.Config with { Layers = 1 });
        Assert.Equal(
            [
                "lm_head.weight", "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight", "model.layers.0.mlp.down_proj.weight",
                "model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight", "model.layers.0.post_attention_layernorm.weight",
                "model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.o_proj.weight", "model.layers.0.self_attn.q_proj.weight",
                "model.layers.0.self_attn.v_proj.weight", "model.norm.weight",
            ],
            model.state_dict().Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_fresh_model_has_the_initial_values_of_transformers()
    {
        manual_seed(1);
        using var model = new LlamaModel(TinyLlama.Config with { AttentionBias = true, VocabularySize = 1000 }, device: TestDevice.Current);
        using var scope = NewDisposeScope();
        foreach ((string name, var parameter) in model.named_parameters())
        {
            double[] values = TinyLlama.Values(parameter);
            if (name.EndsWith(".bias", StringComparison.Ordinal)) Assert.All(values, v => Assert.Equal(0, v));
            else if (name.Contains("norm", StringComparison.Ordinal)) Assert.All(values, v => Assert.Equal(1, v));
            else Assert.InRange(Math.Sqrt(values.Average(v => v * v)), 0.015, 0.025);
            Assert.True(parameter.requires_grad);
        }
    }

    [Fact]
    public void Converting_a_tied_model_keeps_the_tie()
    {
        using LlamaModel model = TinyLlama.Make(TinyLlama.Config with { TieEmbeddings = true });
        model.to(ScalarType.Float64);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyLlama.Ids(1, 5);
        Near(new NaiveLlama(model).Logits(Row(ids, 0)), model.call(ids)[0], 1e-12);
    }

    [Fact]
    public void A_model_made_in_a_scope_outlives_it()
    {
        LlamaModel model;
        using (NewDisposeScope()) model = TinyLlama.Make();
        using (model)
        {
            using var scope = NewDisposeScope();
            Assert.True(model.call(TinyLlama.Ids(1, 3)).isfinite().all().item<bool>());
        }
    }

    [Fact]
    public void Inputs_of_a_wrong_shape_or_type_are_refused()
    {
        using LlamaModel model = TinyLlama.Make();
        using var scope = NewDisposeScope();
        Tensor ids = TinyLlama.Ids(2, 5);
        Refuse(ids[0], "InputIds must be int64 of the shape [batch, length] with at least one token, but is Int64 [5].");
        Refuse(ids.to(ScalarType.Int32), "InputIds must be int64 of the shape [batch, length] with at least one token, but is Int32 [2, 5].");
        Refuse(ids.narrow(1, 0, 0), "InputIds must be int64 of the shape [batch, length] with at least one token, but is Int64 [2, 0].");
        Refuse(new CausalInput(ids) { AttentionMask = ids.narrow(1, 0, 4) }, "AttentionMask must have the shape [2, 5], which is [batch, cached + length], but is Int64 [2, 4].");
        Refuse(new CausalInput(ids) { PositionIds = ids.narrow(1, 0, 1) }, "PositionIds must be int64 of the shape [2, 5] or [1, 5], but is Int64 [2, 1].");

        void Refuse(CausalInput input, string text) => Assert.Equal(text, Assert.Throws<ArgumentException>(() => model.call(input)).Message);
    }

    [Fact]
    public void Weights_are_floating_point_numbers()
    {
        var error = Assert.Throws<ArgumentException>(() => new LlamaModel(TinyLlama.Config, ScalarType.Int64));
        Assert.Equal("Weights cannot be of type Int64: give Float16, BFloat16, Float32 or Float64.", error.Message);
    }

    private static long[] Row(Tensor ids, int row) => ids[row].cpu().data<long>().ToArray();

    private static double[][] Rows(Tensor logits) => [.. TinyLlama.Values(logits).Chunk((int)logits.shape[^1])];

    private static void Near(double[][] wanted, Tensor logits, double tolerance)
    {
        double[][] found = Rows(logits);
        Assert.Equal(wanted.Length, found.Length);
        double largest = wanted.Max(row => row.Max(Math.Abs));
        for (int i = 0; i < wanted.Length; i++) Assert.Equal(wanted[i], found[i], (a, b) => Math.Abs(a - b) <= tolerance * largest);
    }
}
