using Lora.Layers;
using Lora.Llm.Tests.Models.Encoders;
using Lora.Llm.Tests.Models.Vision;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>The models call their projections of one input together, and train as if each were called by itself, which a hook on each forces.</summary>
[Collection(Alone.Name)]
public sealed class SharedInputTests
{
    private static readonly LoraConfig s_all = LoraConfig.AllLinear(rank: 3, alpha: 5);

    // Of queries, keys and values, and of gate and up, some have no adapter.
    public static TheoryData<string, string> Cases
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach ((string family, string some) in new[]
            {
                ("llama", "q_proj v_proj up_proj"), ("qwen2", "q_proj v_proj up_proj"), ("qwen3", "k_proj gate_proj"), ("gemma2", "q_proj k_proj up_proj"),
                ("bert", "query value"), ("roberta", "key"), ("t5", "v wi_1"), ("vit", "q_proj v_proj"), ("classic vit", "query value"),
            })
            {
                cases.Add(family, "all");
                cases.Add(family, some);
            }
            cases.Add("llama, recomputed", "all");
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gradients_are_those_of_single_calls(string family, string adapted)
    {
        LoraConfig config = adapted == "all" ? s_all : s_all with { TargetModules = ModuleSelector.EndsWith(adapted.Split(' ')) };
        Tensor ids = TinyLlama.Ids(3, 7), labels = TinyLlama.Ids(3, 7, 9);
        switch (family)
        {
            case "llama": Compare(TinyLlama.Make(dataType: ScalarType.Float64), config, model => model.Loss(ids, labels)); break;
            case "llama, recomputed":
                LlamaModel llama = TinyLlama.Make(dataType: ScalarType.Float64);
                llama.GradientCheckpointing = GradientCheckpointing.EveryBlock;
                Compare(llama, config, model => model.Loss(ids, labels));
                break;
            case "qwen2": Compare(TinyDecoders.Qwen2(ScalarType.Float64), config, model => model.Loss(ids, labels)); break;
            case "qwen3": Compare(TinyDecoders.Qwen3(ScalarType.Float64), config, model => model.Loss(ids, labels)); break;
            case "gemma2": Compare(TinyDecoders.Gemma2(), config, model => model.Loss(ids, labels)); break;
            case "bert" or "roberta":
                Compare(TinyEncoders.Make(family, typeof(SequenceClassifier)), config, model => model.call(new TextInput(TinyEncoders.Ids(3, 7))).square().sum());
                break;
            case "t5": Compare(TinyT5.Make(modern: true), config, model => model.call(new SequenceToSequenceInput(ids, labels)).square().mean()); break;
            default:
                var vision = PretrainedFolder.Filled(new ViTModel(TinyVision.ViTOf(TinyVision.ViT()) with { ClassicNames = family != "vit" }, ScalarType.Float64, TestDevice.Current));
                Compare(vision, config, model => model.call(TinyVision.Images(2, 12, 12)).square().sum());
                break;
        }
        ids.Dispose();
        labels.Dispose();
    }

    private static void Compare<TModel>(TModel model, LoraConfig config, Func<TModel, Tensor> loss)
        where TModel : nn.Module
    {
        using var scope = NewDisposeScope();
        using LoraModel<TModel> lora = LoraModel.Wrap(model, config);
        LoraLinear[] layers = [.. lora.Layers.Select(layer => layer.Layer).OfType<LoraLinear>()];
        using (var generator = new Generator(5))
        using (no_grad())
        {
            foreach (LoraLinear layer in layers)
            {
                // As small as they are.
                layer.OnePass!.LeastNumbers = 0;
                layer.Adapter.B.copy_(randn(layer.Adapter.B.shape, generator: generator).mul(0.3));
            }
        }
        model.train();
        Run();
        (double lossTogether, double[][] together, long made) = Run();
        foreach (LoraLinear layer in layers) layer.register_forward_hook((_, _, output) => output);
        (double lossAlone, double[][] alone, long madeAlone) = Run();

        Assert.Equal(lossAlone, lossTogether, 1e-12 * Math.Abs(lossAlone));
        Assert.NotEqual(madeAlone, made);
        Assert.All(alone.Zip(together), pair =>
        {
            double size = pair.First.Max(Math.Abs);
            Assert.True(size > 0);
            Assert.All(pair.First.Zip(pair.Second), numbers => Assert.Equal(numbers.First, numbers.Second, 1e-11 * size));
        });

        // The number of tensors tells the two ways apart. Sums in another order differ by rounding, which a T5 with its unscaled scores carries the furthest.
        (double Loss, double[][] Gradients, long Made) Run()
        {
            using var inner = NewDisposeScope();
            Parameter[] trained = [.. lora.TrainableParameters()];
            foreach (Parameter parameter in trained) parameter.grad = null;
            manual_seed(11);
            ThreadDisposeScopeStatistics statistics = DisposeScopeManager.Statistics;
            long before = statistics.CreatedInScopeCount + statistics.CreatedOutsideScopeCount;
            Tensor value = loss(model);
            value.backward();
            long made = statistics.CreatedInScopeCount + statistics.CreatedOutsideScopeCount - before;
            return (value.ToDouble(), [.. trained.Select(parameter => TinyLlama.Values(parameter.grad!))], made);
        }
    }
}
