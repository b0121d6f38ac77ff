using Lora.Layers;
using Lora.Llm.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training.Chunked;

/// <summary>The loss of a model, with each kind of head, has the value and the gradients of the loss of its logits.</summary>
public sealed class ModelLossTests
{
    private static readonly LoraConfig _config = new() { Rank = 3, Alpha = 5, TargetModules = ModuleSelector.EndsWith("q_proj", "down_proj") };

    public enum Head
    {
        Frozen,
        Trained,
        Adapted,
        AdaptedWithMagnitude,
        AdaptedWithBias,
        AdaptedAndTrained,
        Saved,
        TwoAdapters,
    }

    [Theory]
    [InlineData(Head.Frozen, false)]
    [InlineData(Head.Frozen, true)]
    [InlineData(Head.Trained, false)]
    [InlineData(Head.Trained, true)]
    [InlineData(Head.Adapted, false)]
    [InlineData(Head.Adapted, true)]
    [InlineData(Head.AdaptedWithMagnitude, false)]
    [InlineData(Head.AdaptedWithBias, false)]
    [InlineData(Head.AdaptedAndTrained, false)]
    [InlineData(Head.AdaptedAndTrained, true)]
    [InlineData(Head.Saved, false)]
    [InlineData(Head.TwoAdapters, false)]
    public void It_is_that_of_the_logits(Head head, bool tied)
    {
        using var scope = NewDisposeScope();
        using LlamaModel model = TinyLlama.Make(TinyLlama.Config with { TieEmbeddings = tied }, ScalarType.Float64);
        LoraModel<LlamaModel> lora = Wrap(model, head, tied);
        model.train();
        Tensor labels = TinyLlama.Ids(2, 6, 9);
        labels[0, TensorIndex.Slice(0, 3)] = TrainingExample.IgnoredLabel;
        Tensor mask = ones([2, 6], dtype: ScalarType.Int64, device: labels.device);
        mask[1, 0] = 0;
        var input = new CausalInput(TinyLlama.Ids(2, 6)) { AttentionMask = mask };
        foreach (double? count in new double?[] { null, 3.5 })
        {
            (double plain, Dictionary<string, double[]?> wanted) = Run(model, () => CausalLoss.Compute(model.call(input), labels, count));
            (double chunked, Dictionary<string, double[]?> found) = Run(model, () => model.Loss(input, labels, count));
            Assert.Equal(plain, chunked, 1e-12);
            Assert.Contains(wanted.Values, gradient => gradient?.Any(number => Math.Abs(number) > 1e-4) == true);
            foreach ((string name, double[]? gradient) in wanted)
            {
                Assert.Equal(gradient is null, found[name] is null);
                double size = gradient?.Max(Math.Abs) ?? 0;
                Assert.All((gradient ?? []).Zip(found[name] ?? []), pair => Assert.True(Math.Abs(pair.First - pair.Second) <= 1e-12 * size, $"{name}: {pair}"));
            }
        }
        using (no_grad()) Assert.Equal(CausalLoss.Compute(model.call(input), labels).ToDouble(), model.Loss(input, labels).ToDouble(), 1e-12);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void A_GPT_2_has_it_in_chunks_too(bool tied, bool trained)
    {
        using var scope = NewDisposeScope();
        using Gpt2Model model = TinyLlama.Filled(new Gpt2Model(
            new Gpt2Config { VocabularySize = 37, HiddenSize = 20, InnerSize = 27, Layers = 2, Heads = 5, MaxPositions = 12, TieEmbeddings = tied }, ScalarType.Float64, Lora.Tests.TestDevice.Current));
        LoraModel<Gpt2Model> lora = LoraModel.Wrap(model, new LoraConfig { Rank = 3, Alpha = 5, TargetModules = ModuleSelector.EndsWith("c_attn", "c_fc") });
        using (no_grad())
        {
            using var generator = new Generator(5);
            foreach ((_, Parameter parameter) in lora.AdapterTensors(LoraModel.DefaultAdapter)) parameter.copy_(randn(parameter.shape, generator: generator).mul(0.3));
        }
        if (trained) foreach (Parameter parameter in model.parameters()) parameter.requires_grad_(true);
        Tensor labels = TinyLlama.Ids(2, 6, 9);
        labels[0, TensorIndex.Slice(0, 3)] = TrainingExample.IgnoredLabel;
        var input = new CausalInput(TinyLlama.Ids(2, 6));
        (double plain, Dictionary<string, double[]?> wanted) = Run(model, () => CausalLoss.Compute(model.call(input), labels));
        int heads = 0;
        var hook = ((nn.Module<Tensor, Tensor>)model.OutputHead!).register_forward_hook((_, _, output) =>
        {
            heads++;
            return output;
        });
        // Where a hook sees the logits all are computed.
        Assert.Equal(plain, model.Loss(input, labels).ToDouble(), 1e-12);
        Assert.Equal(1, heads);
        hook.remove();
        (double chunked, Dictionary<string, double[]?> found) = Run(model, () => model.Loss(input, labels));
        Assert.Equal(plain, chunked, 1e-12);
        Assert.Contains(wanted.Values, gradient => gradient?.Any(number => Math.Abs(number) > 1e-4) == true);
        foreach ((string name, double[]? gradient) in wanted)
        {
            double size = gradient?.Max(Math.Abs) ?? 0;
            Assert.All((gradient ?? []).Zip(found[name] ?? []), pair => Assert.True(Math.Abs(pair.First - pair.Second) <= 1e-12 * size, $"{name}: {pair}"));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Each_sample_may_have_an_adapter_and_a_saved_head_of_its_own(bool saved)
    {
        using var scope = NewDisposeScope();
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        LoraConfig config = saved ? _config with { ModulesToSave = ["lm_head"] } : _config with { TargetModules = ModuleSelector.EndsWith("q_proj", "lm_head") };
        LoraModel<LlamaModel> lora = LoraModel.Wrap(model, config);
        lora.AddAdapter("more", config);
        Draw(lora);
        Tensor ids = TinyLlama.Ids(3, 5), labels = TinyLlama.Ids(3, 5, 9);
        using IDisposable mix = lora.UsePerSample("more", LoraModel.BaseAdapter, "default");
        using var noGrad = no_grad();
        Assert.Equal(CausalLoss.Compute(model.call(ids), labels).ToDouble(), model.Loss(ids, labels).ToDouble(), 1e-12);
    }

    [Fact]
    public void Hooks_see_the_logits_and_change_them()
    {
        using var scope = NewDisposeScope();
        using LlamaModel model = TinyLlama.Make(dataType: ScalarType.Float64);
        Tensor ids = TinyLlama.Ids(2, 5), labels = TinyLlama.Ids(2, 5, 9);
        double without = model.Loss(ids, labels).ToDouble();
        var head = (nn.Module<Tensor, Tensor>)model.OutputHead!;
        foreach (Func<Func<Tensor, Tensor>, Action> register in new Func<Func<Tensor, Tensor>, Action>[]
        {
            change => model.register_forward_hook((_, _, output) => change(output)).remove,
            change => head.register_forward_hook((_, _, output) => change(output)).remove,
            change => head.register_forward_pre_hook((_, given) => change(given)).remove,
        })
        {
            List<long[]> seen = [];
            Action remove = register(Change);
            double changed = model.Loss(ids, labels).ToDouble();
            Assert.NotEqual(without, changed, 1e-3);
            Assert.Equal(CausalLoss.Compute(model.call(ids), labels).ToDouble(), changed, 1e-12);
            remove();
            Assert.Equal([2, 5], seen[0][..2]);
            Assert.Equal(without, model.Loss(ids, labels).ToDouble());

            Tensor Change(Tensor given)
            {
                seen.Add(given.shape);
                return given.mul(0.5);
            }
        }
    }

    [Fact]
    public void What_it_cannot_take_is_refused()
    {
        using var scope = NewDisposeScope();
        using LlamaModel model = TinyLlama.Make();
        Tensor ids = TinyLlama.Ids(2, 5);
        Assert.StartsWith(
            "The loss is of all positions, so LogitsToKeep must be 0, but is 2.",
            Assert.Throws<ArgumentException>(() => model.Loss(new CausalInput(ids) { LogitsToKeep = 2 }, ids)).Message);
        Assert.StartsWith(
            "Labels must be int64 of the shape of InputIds, [2, 5], but are Int64 [2, 4].",
            Assert.Throws<ArgumentException>(() => model.Loss(ids, TinyLlama.Ids(2, 4))).Message);
        const string Unknown = "Labels must be tokens from 0 to 36 or -100, but there is 37.";
        Assert.Equal(Unknown, Assert.Throws<ArgumentException>(() => model.Loss(ids, full_like(ids, 37))).Message);
        model.register_forward_hook((_, _, output) => output);
        Assert.Equal(Unknown, Assert.Throws<ArgumentException>(() => model.Loss(ids, full_like(ids, 37))).Message);
    }

    private static LoraModel<LlamaModel> Wrap(LlamaModel model, Head head, bool tied)
    {
        bool adapted = head is not (Head.Frozen or Head.Trained or Head.Saved);
        LoraConfig config = _config with
        {
            TargetModules = adapted ? ModuleSelector.EndsWith("q_proj", "lm_head") : _config.TargetModules,
            EnsureWeightTying = adapted && tied,
            UseDora = head == Head.AdaptedWithMagnitude,
            UseLoraBias = head == Head.AdaptedWithBias,
            ModulesToSave = head == Head.Saved ? ["lm_head"] : [],
        };
        LoraModel<LlamaModel> lora = LoraModel.Wrap(model, config);
        if (head == Head.TwoAdapters)
        {
            // Inactive, but it would train.
            lora.AddAdapter("more", config);
            lora.SetActive("more");
            foreach ((_, Parameter parameter) in lora.AdapterTensors("default")) parameter.requires_grad_(true);
        }
        Draw(lora);
        if (head is Head.Trained or Head.AdaptedAndTrained)
        {
            Parameter[] weights = [.. model.named_parameters().Where(p => p.parameter.shape[0] == TinyLlama.Config.VocabularySize && !p.name.Contains("lora", StringComparison.Ordinal)).Select(p => p.parameter)];
            Assert.NotEmpty(weights);
            foreach (Parameter weight in weights) weight.requires_grad_(true);
        }
        return lora;
    }

    private static void Draw(LoraModel<LlamaModel> lora)
    {
        using var generator = new Generator(5);
        using var noGrad = no_grad();
        foreach (string name in lora.AdapterNames)
            foreach ((_, Parameter parameter) in lora.AdapterTensors(name)) parameter.copy_(randn(parameter.shape, generator: generator).mul(0.3).add(parameter.dim() == 1 ? 1 : 0));
    }

    private static (double Loss, Dictionary<string, double[]?> Gradients) Run(nn.Module model, Func<Tensor> compute)
    {
        using var scope = NewDisposeScope();
        (string Name, Parameter Parameter)[] trained = [.. model.named_parameters().Where(p => p.parameter.requires_grad)];
        foreach ((_, Parameter parameter) in trained) parameter.grad = null;
        Tensor loss = compute();
        loss.backward();
        return (loss.ToDouble(), trained.ToDictionary(p => p.Name, p => p.Parameter.grad is Tensor gradient ? TinyLlama.Values(gradient) : null));
    }
}
