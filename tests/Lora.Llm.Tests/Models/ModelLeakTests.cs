using Lora.Llm.Tests.Models.Vision;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>What is made outside of every scope is gone when it has been disposed by hand, and nothing else was made.</summary>
[Collection(Alone.Name)]
public sealed class ModelLeakTests
{
    [Theory]
    [InlineData(false, ScalarType.Float32)]
    [InlineData(true, ScalarType.BFloat16)]
    public void Loading_leaves_nothing_behind(bool tied, ScalarType stored)
    {
        using ModelFolder folder = ModelFolder.Of(TinyLlama.Config with { TieEmbeddings = tied, AttentionBias = true }, stored);
        Leaks.AssertNone(5, Load);

        void Load() => LlamaModel.FromPretrained(folder.Path, new PretrainedOptions { DataType = ScalarType.Float32, Device = TestDevice.Current }).Dispose();
    }

    [Fact]
    public void Failing_to_load_leaves_nothing_behind()
    {
        using var folder = new ModelFolder();
        folder.Write(_ => { });
        using (LlamaModel model = TinyLlama.Make()) folder.WriteWeights(model, ScalarType.Float32, tensors => tensors.Remove("model.norm.weight"));
        Leaks.AssertNone(5, Fail);

        void Fail() => Assert.Throws<AdapterFormatException>(() => LlamaModel.FromPretrained(folder.Path));
    }

    [Fact]
    public void Making_a_model_leaves_nothing_behind() => Leaks.AssertNone(5, () => new LlamaModel(TinyLlama.Config).Dispose());

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Calls_outside_of_scopes_leave_nothing_behind(bool gradients)
    {
        using LlamaModel model = TinyLlama.Make();
        using Tensor ids = TinyLlama.Ids(2, 5), mask = ones([2, 5], dtype: ScalarType.Int64, device: TestDevice.Current);
        Leaks.AssertNone(5, Call);

        void Call()
        {
            using var mode = set_grad_enabled(gradients);
            using KeyValueCache cache = model.NewCache(6);
            using Tensor all = model.call(new CausalInput(ids) { AttentionMask = mask, Cache = cache });
            using Tensor last = model.call(new CausalInput(ids) { LogitsToKeep = 1 });
        }
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, true)]
    [InlineData(1, false)]
    public void Generation_outside_of_scopes_leaves_its_result_alone(double temperature, bool useCache)
    {
        using LlamaModel model = TinyLlama.Make();
        using Tensor ids = TinyLlama.Ids(2, 5), mask = ones([2, 5], dtype: ScalarType.Int64, device: TestDevice.Current);
        var options = new GenerationOptions { MaxNewTokens = 10, Temperature = temperature, TopK = 9, TopP = 0.9, UseCache = useCache, Seed = 1 };
        Leaks.AssertNone(5, Generate);

        void Generate() => model.Generate(ids, options, mask).Dispose();
    }

    [Theory]
    [InlineData("gemma2")]
    [InlineData("gemma3_text")]
    [InlineData("gpt2")]
    [InlineData("phi3")]
    public void No_family_leaves_anything_behind(string type)
    {
        using CausalLanguageModel model = TinyDecoders.Make(type, ScalarType.Float32);
        using Tensor ids = TinyLlama.Ids(2, 5), mask = ones([2, 5], dtype: ScalarType.Int64, device: TestDevice.Current);
        model.train();
        Leaks.AssertNone(5, Call);

        void Call()
        {
            TinyDecoders.Make(type, ScalarType.Float32).Dispose();
            using Tensor all = model.call(new CausalInput(ids) { AttentionMask = mask });
            model.Generate(ids, new GenerationOptions { MaxNewTokens = 4 }, mask).Dispose();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_T5_leaves_nothing_behind(bool modern)
    {
        using T5Model model = TinyT5.Make(modern, ScalarType.Float32);
        using Tensor ids = TinyLlama.Ids(2, 5), mask = ones_like(ids), labels = TinyLlama.Ids(2, 4, seed: 8);
        foreach (bool training in new[] { true, false })
        {
            model.train(training);
            Leaks.AssertNone(5, Call);
        }

        void Call()
        {
            TinyT5.Make(modern, ScalarType.Float32).Dispose();
            using (Tensor written = model.ShiftRight(labels))
            using (Tensor logits = model.call(new SequenceToSequenceInput(ids, written) { AttentionMask = mask }))
            using (Tensor loss = ClassificationLoss.OfTokens(logits, labels)) loss.backward();
            model.Generate(ids, new GenerationOptions { MaxNewTokens = 4 }, mask).Dispose();
            model.Generate(ids, new GenerationOptions { MaxNewTokens = 4, UseCache = false }, mask).Dispose();
        }
    }

    [Theory]
    [InlineData("vit")]
    [InlineData("vit of another size")]
    [InlineData("resnet")]
    [InlineData("bottleneck")]
    public void Image_classifiers_leave_nothing_behind(string kind)
    {
        using ImageClassifier model = Make();
        if (model is ViTModel vit) vit.InterpolatesPositions = true;
        using Tensor images = TinyVision.Images(2, 12, kind == "vit of another size" ? 20 : 12, ScalarType.Float32), labels = tensor(new long[] { 0, 2 }, device: TestDevice.Current);
        foreach (bool training in new[] { true, false })
        {
            model.train(training);
            Leaks.AssertNone(5, Call);
        }

        void Call()
        {
            Make().Dispose();
            using Tensor logits = model.call(images);
            using Tensor loss = ClassificationLoss.Compute(logits, labels);
            loss.backward();
        }

        ImageClassifier Make() => kind.StartsWith("vit", StringComparison.Ordinal) ? TinyVision.MakeViT(ScalarType.Float32) : TinyVision.MakeResNet(TinyVision.ResNet(kind == "bottleneck"), ScalarType.Float32);
    }
}
