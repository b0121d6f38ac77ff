using Lora.Llm.Blocks;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>Blocks of a GPT-2 that run twice give the very gradients of blocks that keep everything.</summary>
[Collection(Alone.Name)]
public sealed class Gpt2CheckpointingTests
{
    private static readonly LoraConfig _config = new() { Rank = 3, Alpha = 5, TargetModules = ModuleSelector.EndsWith("c_attn", "c_proj") };

    [Theory]
    [InlineData("plain")]
    [InlineData("dropout")]
    [InlineData("magnitudes")]
    [InlineData("trained base")]
    public void Gradients_are_those_without(string what)
    {
        using var scope = NewDisposeScope();
        using Gpt2Model model = TinyDecoders.Gpt2();
        LoraModel<Gpt2Model> lora = LoraModel.Wrap(model, what switch
        {
            "dropout" => _config with { Dropout = 0.4 },
            "magnitudes" => _config with { UseDora = true },
            _ => _config,
        });
        Draw(lora);
        if (what == "trained base") foreach (Parameter parameter in model.parameters()) parameter.requires_grad_(true);
        model.train();
        Tensor ids = TinyLlama.Ids(3, 7), labels = TinyLlama.Ids(3, 7, 9), mask = ones([3, 7], dtype: ScalarType.Int64, device: ids.device);
        mask[1, 0] = 0;

        (double loss, double[]?[] wanted) = Run(GradientCheckpointing.None);
        Assert.Contains(wanted, gradient => gradient?.Any(number => Math.Abs(number) > 1e-4) == true);
        foreach (GradientCheckpointing choice in new[] { GradientCheckpointing.EveryBlock, GradientCheckpointing.OneIn(2), GradientCheckpointing.WithinBudget(20_000) })
        {
            (double again, double[]?[] found) = Run(choice);
            Assert.Equal(loss, again);
            Assert.Equal(wanted, found);
        }

        (double Loss, double[]?[] Gradients) Run(GradientCheckpointing choice)
        {
            using var inner = NewDisposeScope();
            model.GradientCheckpointing = choice;
            Parameter[] trained = [.. model.parameters().Where(parameter => parameter.requires_grad)];
            foreach (Parameter parameter in trained) parameter.grad = null;
            // GPT-2 drops embeddings, weights of the attention and what its parts add: the second run must drop the same.
            manual_seed(11);
            Tensor loss = model.Loss(new CausalInput(ids) { AttentionMask = mask }, labels);
            loss.backward();
            return (loss.ToDouble(), [.. trained.Select(parameter => parameter.grad is Tensor gradient ? TinyLlama.Values(gradient) : null)]);
        }
    }

    [Theory]
    [InlineData("gelu_new", 0)]
    [InlineData("gelu_new", 0.1)]
    [InlineData("gelu", 0)]
    public void The_estimate_of_a_block_is_near_what_is_counted(string activation, double dropout)
    {
        CountedBlocks.AssertNearEstimate(Make, model => BlockShape.Of(model.Config), "transformer.h.0");

        Gpt2Model Make(int layers)
        {
            var model = new Gpt2Model(
                new Gpt2Config
                {
                    VocabularySize = 37,
                    HiddenSize = 64,
                    InnerSize = 256,
                    Layers = layers,
                    Heads = 4,
                    MaxPositions = 128,
                    Activation = activation,
                    EmbeddingDropout = dropout,
                    ResidualDropout = dropout,
                    AttentionDropout = dropout,
                },
                device: TestDevice.Current);
            LoraModel.Wrap(model, new LoraConfig { Rank = 4, Alpha = 8, Dropout = dropout, TargetModules = ModuleSelector.AllLinear });
            model.train();
            return model;
        }
    }

    [Fact]
    public void Nothing_runs_twice_with_a_cache_and_nothing_stays()
    {
        using Gpt2Model model = TinyDecoders.Gpt2(ScalarType.Float32);
        using LoraModel<Gpt2Model> lora = LoraModel.Wrap(model, _config);
        model.GradientCheckpointing = GradientCheckpointing.EveryBlock;
        Assert.Throws<ArgumentNullException>(() => model.GradientCheckpointing = null!);
        using (var scope = NewDisposeScope())
        {
            using KeyValueCache cache = model.NewCache(8);
            model.call(new CausalInput(TinyLlama.Ids(1, 4)) { Cache = cache }).sum().backward();
            Assert.Equal(4, cache.Length);
        }
        model.train();
        using Tensor ids = TinyLlama.Ids(2, 5), labels = TinyLlama.Ids(2, 5, 9);
        Leaks.AssertNone(10, () =>
        {
            using Tensor loss = model.Loss(ids, labels);
            loss.backward();
        });
    }

    private static void Draw(LoraModel<Gpt2Model> lora)
    {
        using var generator = new Generator(5);
        using var noGrad = no_grad();
        foreach ((_, Parameter parameter) in lora.AdapterTensors(LoraModel.DefaultAdapter)) parameter.copy_(randn(parameter.shape, generator: generator).mul(0.3).add(parameter.dim() == 1 ? 1 : 0));
    }
}
