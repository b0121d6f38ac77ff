using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>Nothing of the weight's size is made in a step, and nothing stays.</summary>
[Collection(Alone.Name)]
public sealed class DoraMemoryTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_step_makes_no_tensor_of_the_weights_size(bool transposed)
    {
        const long In = 1536, Out = 1280;
        using nn.Module<Tensor, Tensor> linear = (transposed ? LayerKind.TransposedWithoutBias : LayerKind.Linear).Make(In, Out);
        using var layer = new LoraLinear(linear, rank: 4, alpha: 8, useDora: true);
        Noise.Fill(layer.Adapter.B, 3, 0.1);
        using Tensor input = Noise.Fill(empty([8, In], device: TestDevice.Current), 4, 1);
        input.requires_grad = true;
        Step(layer, input);
        layer.zero_grad();
        Assert.InRange(AllocatedMemory.PeakOf(() => Step(layer, input)), 1, In * Out * sizeof(float) / 8);
        Assert.All(layer.Adapter.FileTensors, tensor => Assert.True(tensor.Value.grad!.abs().sum().item<float>() > 0));
    }

    [Fact]
    public void Nor_does_merging()
    {
        const long In = 1536, Out = 1280;
        using var layer = new LoraLinear((Linear)LayerKind.Linear.Make(In, Out), rank: 4, alpha: 8, useDora: true);
        Noise.Fill(layer.Adapter.B, 3, 0.1);
        long peak = AllocatedMemory.PeakOf(() =>
        {
            layer.Adapters.Merge();
            layer.Adapters.Unmerge();
        });
        Assert.InRange(peak, 1, In * Out * sizeof(float) / 8);
    }

    [Theory]
    [InlineData(LayerKind.Linear)]
    [InlineData(LayerKind.Transposed)]
    [InlineData(LayerKind.Embedding)]
    [InlineData(LayerKind.Conv2dGrouped)]
    [InlineData(LayerKind.Conv2dSame)]
    public void Nothing_stays(LayerKind kind)
    {
        using nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind, ScalarType.BFloat16);
        LoraConfig config = kind.Config(model, Variant.Dora) with { Dropout = kind.IsEmbedding() ? 0 : 0.1 };
        WrapOptions options = kind.Options(model) with { CacheInEvaluation = true };
        Leaks.AssertNone(20, () => LoraModel.Wrap(model, config, options).Unload());
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, config, options);
        lora.AddAdapter("more", config);
        lora.SetActive("default", "more");
        using Tensor input = kind.Input(3, kind.IsEmbedding() ? ScalarType.Float32 : ScalarType.BFloat16);
        Leaks.AssertNone(20, () => model.call(input).Dispose());
        Leaks.AssertNone(20, () =>
        {
            using var scope = NewDisposeScope();
            model.call(input).square().sum().backward();
        });
        Leaks.AssertNone(20, () =>
        {
            using var noGrad = no_grad();
            model.eval();
            model.call(input).Dispose();
            lora.SetScale("default", 0.5);
            model.call(input).Dispose();
            model.train();
        });
        Leaks.AssertNone(20, () =>
        {
            lora.SetActive("default", "more");
            lora.Merge(new MergeOptions { KeepOriginal = true });
            lora.Unmerge();
            lora.SetActive("default");
            lora.Merge();
            lora.Unmerge();
            Assert.Throws<InvalidOperationException>(() => lora.UsePerSample("default"));
        });
    }

    private static void Step(LoraLinear layer, Tensor input)
    {
        using var scope = NewDisposeScope();
        layer.call(input).square().sum().backward();
    }
}
