using System.Runtime.InteropServices;
using Lora.Llm.Blocks;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>Blocks that run twice give the gradients of blocks that keep everything.</summary>
[Collection(Alone.Name)]
public sealed class GradientCheckpointingTests
{
    private static readonly LoraConfig _config = new() { Rank = 3, Alpha = 5, TargetModules = ModuleSelector.EndsWith("q_proj", "down_proj", "lm_head") };

    public static TheoryData<string> Cases => ["plain", "dropout", "magnitudes", "saved modules", "hooks", "mixed batch", "trained base", "biases"];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gradients_are_those_without(string what)
    {
        using var scope = NewDisposeScope();
        using LlamaModel model = TinyLlama.Make(TinyLlama.Config with { Layers = 3 }, ScalarType.Float64);
        LoraConfig config = what switch
        {
            "dropout" => _config with { Dropout = 0.4 },
            "magnitudes" => _config with { UseDora = true },
            "saved modules" => _config with { TargetModules = ModuleSelector.EndsWith("q_proj"), ModulesToSave = ["mlp.up_proj", "model.norm", "input_layernorm"] },
            "biases" => _config with { UseLoraBias = true },
            _ => _config,
        };
        LoraModel<LlamaModel> lora = LoraModel.Wrap(model, config);
        if (what == "mixed batch") lora.AddAdapter("more", config);
        Draw(lora);
        if (what == "trained base") foreach (Parameter parameter in model.parameters()) parameter.requires_grad_(true);
        if (what == "hooks")
        {
            foreach (AdapterLayer layer in lora.Layers)
                ((nn.Module<Tensor, Tensor>)model.named_modules().First(module => module.name == layer.Path).module).register_forward_hook((_, _, output) => output.mul(1.5));
        }
        model.train();
        Tensor ids = TinyLlama.Ids(3, 7), labels = TinyLlama.Ids(3, 7, 9), mask = ones([3, 7], dtype: ScalarType.Int64, device: ids.device);
        mask[1, 0] = 0;
        using IDisposable? mix = what == "mixed batch" ? lora.UsePerSample("more", "default", LoraModel.BaseAdapter) : null;

        (double[] losses, double[]?[] wanted) = Run(GradientCheckpointing.None);
        Assert.Contains(wanted, gradient => gradient?.Any(number => Math.Abs(number) > 1e-4) == true);
        foreach (GradientCheckpointing choice in new[] { GradientCheckpointing.EveryBlock, GradientCheckpointing.OneIn(2), GradientCheckpointing.OneIn(1), GradientCheckpointing.WithinBudget(200_000) })
        {
            (double[] again, double[]?[] found) = Run(choice);
            Assert.Equal(losses, again);
            for (int i = 0; i < wanted.Length; i++)
            {
                Assert.Equal(wanted[i] is null, found[i] is null);
                double size = wanted[i]?.Max(Math.Abs) ?? 0;
                Assert.All((wanted[i] ?? []).Zip(found[i] ?? []), pair => Assert.True(Math.Abs(pair.First - pair.Second) <= 1e-12 * size, $"{choice}: {pair}"));
            }
        }

        // Two passes are added up, and the second draws other numbers.
        (double[] Losses, double[]?[] Gradients) Run(GradientCheckpointing choice)
        {
            using var inner = NewDisposeScope();
            model.GradientCheckpointing = choice;
            Parameter[] trained = [.. model.parameters().Where(parameter => parameter.requires_grad)];
            foreach (Parameter parameter in trained) parameter.grad = null;
            manual_seed(11);
            double[] losses = new double[2];
            for (int pass = 0; pass < 2; pass++)
            {
                Tensor loss = CausalLoss.Compute(model.call(new CausalInput(ids) { AttentionMask = mask }), labels);
                losses[pass] = loss.ToDouble();
                loss.backward();
            }
            return (losses, [.. trained.Select(parameter => parameter.grad is Tensor gradient ? TinyLlama.Values(gradient) : null)]);
        }
    }

    [Fact]
    public void As_few_blocks_run_twice_as_the_budget_needs()
    {
        (long Whole, long Input) sizes = (100, 10);
        foreach ((long budget, int twice) in new[] { (400L, 0), (399L, 1), (310L, 1), (309L, 2), (130L, 3), (129L, 4), (0L, 4) })
        {
            Func<int, bool> chosen = GradientCheckpointing.WithinBudget(budget).Choose(4, () => sizes);
            Assert.Equal(Enumerable.Range(0, 4).Select(block => block < twice), Enumerable.Range(0, 4).Select(chosen));
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => GradientCheckpointing.WithinBudget(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => GradientCheckpointing.OneIn(0));
    }

    // Not in half precision: on the CPU its products are computed through float32 by old versions of libtorch, whose copies are in what is counted.
    [Theory]
    [InlineData(0)]
    [InlineData(0.1)]
    public void The_estimate_of_a_block_is_near_what_is_counted(double dropout)
    {
        CountedBlocks.AssertNearEstimate(Make, model => BlockShape.Of(model.Config), "model.layers.0");

        LlamaModel Make(int layers)
        {
            LlamaModel model = TinyLlama.Make(TinyLlama.Config with { Layers = layers, HiddenSize = 64, IntermediateSize = 160, Heads = 4, KeyValueHeads = 2, HeadDimension = 16, MaxPositions = 128 });
            LoraModel.Wrap(model, new LoraConfig { Rank = 4, Alpha = 8, Dropout = dropout, TargetModules = ModuleSelector.AllLinear });
            model.train();
            return model;
        }
    }

    [Fact]
    public void Nothing_runs_twice_without_gradients_or_with_a_cache()
    {
        using var scope = NewDisposeScope();
        using LlamaModel model = TinyLlama.Make();
        LoraModel.Wrap(model, _config);
        model.GradientCheckpointing = GradientCheckpointing.EveryBlock;
        using (no_grad()) Assert.False(model.call(TinyLlama.Ids(1, 4)).requires_grad);
        using KeyValueCache cache = model.NewCache(8);
        model.call(new CausalInput(TinyLlama.Ids(1, 4)) { Cache = cache }).sum().backward();
        Assert.Equal(4, cache.Length);
    }

    [Fact]
    public void Backward_refuses_a_model_that_has_changed()
    {
        FailedBackward.SkipWhereItEndsTheProcess();
        using var scope = NewDisposeScope();
        using LlamaModel model = TinyLlama.Make();
        LoraModel<LlamaModel> lora = LoraModel.Wrap(model, _config);
        lora.AddAdapter("more", _config);
        Draw(lora);
        model.GradientCheckpointing = GradientCheckpointing.EveryBlock;
        Check(() => lora.SetActive("more"), "its adapters have changed from 'default' to 'more'");
        lora.SetActive("default");
        Check(() => model.train(), "its mode of training has changed");
        model.eval();
        Check(() => lora.UsePerSample("more"), "the adapters of its samples have changed");

        void Check(Action change, string text)
        {
            Tensor loss = model.Loss(TinyLlama.Ids(1, 4), TinyLlama.Ids(1, 4, 9));
            change();
            var error = Assert.Throws<ExternalException>(() => loss.backward());
            Assert.EndsWith($"A block that backward runs again (Checkpoint) must be as it was in forward, but {text}. Call backward before the mode, the active adapters or a scope change.", error.Message);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.2)]
    public void Nothing_stays(double dropout)
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = LoraModel.Wrap(model, _config with { Dropout = dropout });
        model.train();
        model.GradientCheckpointing = GradientCheckpointing.EveryBlock;
        using Tensor ids = TinyLlama.Ids(2, 5), labels = TinyLlama.Ids(2, 5, 9);
        Leaks.AssertNone(10, () =>
        {
            using Tensor loss = model.Loss(ids, labels);
            loss.backward();
        });
        Leaks.AssertNone(10, () => model.Loss(ids, labels).Dispose());
    }

    private static void Draw(LoraModel<LlamaModel> lora)
    {
        using var generator = new Generator(5);
        using var noGrad = no_grad();
        foreach (string name in lora.AdapterNames)
            foreach ((_, Parameter parameter) in lora.AdapterTensors(name)) parameter.copy_(randn(parameter.shape, generator: generator).mul(0.3).add(parameter.dim() == 1 ? 1 : 0));
    }
}
