using Lora.Llm.Tests.Models;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training.Chunked;

[Collection(Alone.Name)]
public sealed class LossMemoryTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_peak_is_at_most_a_third_of_the_plain_computations(bool adapted)
    {
        const int Length = 512, Vocabulary = 32000;
        LlamaConfig config = TinyLlama.Config with { VocabularySize = Vocabulary, MaxPositions = Length };
        using var model = new LlamaModel(config, ScalarType.Float32, TestDevice.Current);
        using LoraModel<LlamaModel> lora = LoraModel.Wrap(
            model, new LoraConfig { Rank = 2, Alpha = 3, TargetModules = adapted ? ModuleSelector.EndsWith("q_proj", "lm_head") : ModuleSelector.EndsWith("q_proj") });
        using Tensor ids = TinyLlama.Ids(1, Length), labels = TinyLlama.Ids(1, Length, 9);
        long plain = AllocatedMemory.PeakOf(() => Step(() =>
        {
            using Tensor logits = model.call(ids);
            return CausalLoss.Compute(logits, labels);
        }));
        long chunked = AllocatedMemory.PeakOf(() => Step(() => model.Loss(ids, labels)));
        Assert.True(plain >= 2L * Length * Vocabulary * sizeof(float), $"The plain computation keeps the logits and their gradient, but took {plain} bytes.");
        Assert.InRange(chunked, 1, plain / 3);

        void Step(Func<Tensor> compute)
        {
            using var scope = NewDisposeScope();
            foreach (var parameter in lora.TrainableParameters()) parameter.grad = null;
            compute().backward();
        }
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, true)]
    [InlineData(true, false)]
    public void Nothing_stays(bool adapted, bool gradients)
    {
        using LlamaModel model = TinyLlama.Make(TinyLlama.Config with { TieEmbeddings = !adapted });
        using LoraModel<LlamaModel> lora = LoraModel.Wrap(
            model,
            new LoraConfig { Rank = 2, Alpha = 3, TargetModules = adapted ? ModuleSelector.EndsWith("q_proj", "lm_head") : ModuleSelector.EndsWith("q_proj") });
        using Tensor ids = TinyLlama.Ids(2, 5), labels = TinyLlama.Ids(2, 5, 9), wrong = labels.add(TinyLlama.Config.VocabularySize);
        // Without scopes, and also where backward never comes or the labels are wrong.
        Leaks.AssertNone(10, () =>
        {
            using var mode = set_grad_enabled(gradients);
            using Tensor loss = model.Loss(ids, labels);
            if (gradients) loss.backward();
        });
        Leaks.AssertNone(10, () => model.Loss(ids, labels).Dispose());
        Leaks.AssertNone(10, () => Assert.Throws<ArgumentException>(() => model.Loss(ids, wrong)));
    }
}
