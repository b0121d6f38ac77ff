using System.Text.Json.Nodes;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Vision;

public sealed class ResNetModelTests
{
    [Theory]
    [InlineData(false, false, false, "relu")]
    [InlineData(false, true, false, "gelu")]
    [InlineData(true, false, false, "relu")]
    [InlineData(true, true, true, "relu")]
    public void Logits_are_those_of_the_restatement(bool bottleneck, bool firstStage, bool inBottleneck, string activation)
    {
        JsonObject json = TinyVision.ResNet(bottleneck, firstStage, inBottleneck, activation);
        using ResNetModel model = TinyVision.MakeResNet(json);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor images = TinyVision.Images(3, 37, 30);
        Dictionary<string, Tensor> weights = model.state_dict();
        Near(new NaiveResNet(weights, json).Logits(images), model.call(images), 1e-12);

        // Training follows the batch, and moves the statistics a tenth of the way.
        const string norm = "resnet.embedder.embedder.normalization";
        Tensor before = weights[$"{norm}.running_mean"].clone(), wanted = new NaiveResNet(weights, json, byBatch: true).Logits(images);
        model.train();
        Near(wanted, model.call(images), 1e-11);
        Tensor first = nn.functional.conv2d(images, weights["resnet.embedder.embedder.convolution.weight"], strides: [2L, 2L], padding: [3L, 3L]);
        Near(before.mul(0.9).add(first.mean([0L, 2L, 3L]).mul(0.1)), weights[$"{norm}.running_mean"], 1e-12);
        Assert.Equal(6, weights[$"{norm}.num_batches_tracked"].ToInt64());
    }

    [Fact]
    public void Names_and_shapes_are_those_of_transformers()
    {
        using var basic = new ResNetModel(TinyVision.ResNetOf(TinyVision.ResNet(bottleneck: false)), device: TestDevice.Current);
        Assert.Equal(
            [
                "resnet.embedder.embedder [5, 2, 7, 7]",
                "resnet.encoder.stages.0.layers.0.layer.0 [5, 5, 3, 3]", "resnet.encoder.stages.0.layers.0.layer.1 [5, 5, 3, 3]",
                "resnet.encoder.stages.0.layers.1.layer.0 [5, 5, 3, 3]", "resnet.encoder.stages.0.layers.1.layer.1 [5, 5, 3, 3]",
                "resnet.encoder.stages.1.layers.0.shortcut [7, 5, 1, 1]", "resnet.encoder.stages.1.layers.0.layer.0 [7, 5, 3, 3]", "resnet.encoder.stages.1.layers.0.layer.1 [7, 7, 3, 3]",
            ],
            Convolutions(basic));
        Assert.Equal(["classifier.1.bias [3]", "classifier.1.weight [3, 7]"], basic.named_parameters().Where(p => p.name.StartsWith("classifier", StringComparison.Ordinal)).Select(p => $"{p.name} [{string.Join(", ", p.parameter.shape)}]").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Fresh_weights_are_drawn_as_He_et_al_do()
    {
        using var model = new ResNetModel(new ResNetConfig { EmbeddingSize = 64, HiddenSizes = [64], Depths = [1], LayerKind = ResNetLayerKind.Basic }, device: TestDevice.Current);
        using var scope = NewDisposeScope();
        Assert.InRange(model.state_dict()["resnet.encoder.stages.0.layers.0.layer.0.convolution.weight"].std().ToDouble(), 0.97 * Math.Sqrt(2.0 / (64 * 9)), 1.03 * Math.Sqrt(2.0 / (64 * 9)));
        Tensor images = randn(2, 3, 33, 35, device: TestDevice.Current);
        Assert.Equal([2, 2], model.call(images).shape);
    }

    [Fact]
    public void An_adapter_over_convolutions_is_what_its_factors_say()
    {
        JsonObject json = TinyVision.ResNet(bottleneck: true);
        using ResNetModel model = TinyVision.MakeResNet(json);
        using var scope = NewDisposeScope();
        Tensor images = TinyVision.Images(3, 37, 30);
        Dictionary<string, Tensor> changed = model.state_dict().ToDictionary(pair => pair.Key, pair => pair.Value.detach().clone());
        using var folder = new TemporaryFolder();
        using (LoraModel<ResNetModel> lora = LoraModel.Wrap(model, new LoraConfig { Rank = 3, Alpha = 5, TargetModules = ModuleSelector.EndsWith("convolution"), ModulesToSave = ["classifier"] }))
        {
            Assert.Equal(12, lora.Layers.Count);
            int seed = 11;
            foreach (Parameter parameter in lora.TrainableParameters()) Draw(parameter, seed++);
            lora.Save(folder.Path);
            Dictionary<string, Tensor> saved = Read(folder["adapter_model.safetensors"]);
            foreach (string name in changed.Keys.ToArray())
            {
                string stem = $"base_model.model.{name[..name.LastIndexOf('.')]}";
                if (saved.TryGetValue($"{stem}.lora_A.weight", out Tensor? a))
                    changed[name] = changed[name].add(einsum("or,rcij->ocij", saved[$"{stem}.lora_B.weight"].squeeze(-1).squeeze(-1), a).mul(5.0 / 3));
                else if (saved.TryGetValue($"base_model.model.{name}", out Tensor? whole)) changed[name] = whole;
            }
            Assert.Contains("base_model.model.classifier.1.weight", saved.Keys);
            using var noGrad = no_grad();
            Tensor wanted = new NaiveResNet(changed, json).Logits(images);
            Near(wanted, model.call(images), 1e-11);
            lora.Merge(new MergeOptions { KeepOriginal = true });
            Near(wanted, model.call(images), 1e-11);
            lora.Unmerge();
        }
        using ResNetModel again = TinyVision.MakeResNet(json);
        using LoraModel<ResNetModel> loaded = LoraModel.Load(again, folder.Path);
        using var still = no_grad();
        Near(new NaiveResNet(changed, json).Logits(images), again.call(images), 1e-11);
    }

    private static void Draw(Parameter parameter, int seed)
    {
        using var noGrad = no_grad();
        using var generator = new Generator((ulong)seed);
        using Tensor drawn = randn(parameter.shape, generator: generator).mul(0.1).to(parameter.dtype).to(parameter.device);
        parameter.copy_(drawn);
    }

    private static Dictionary<string, Tensor> Read(string path)
    {
        using Serialization.SafetensorsSource source = Serialization.SafetensorsSource.Open(path);
        return source.Entries.ToDictionary(entry => entry.Name, entry => source.ReadTensor(entry.Name).to(TestDevice.Current));
    }

    private static IEnumerable<string> Convolutions(nn.Module model) => model.named_parameters().Where(p => p.name.EndsWith(".convolution.weight", StringComparison.Ordinal))
        .Select(p => $"{p.name[..^".convolution.weight".Length]} [{string.Join(", ", p.parameter.shape)}]");

    private static void Near(Tensor wanted, Tensor found, double tolerance)
    {
        Assert.Equal(wanted.shape, found.shape);
        Assert.InRange(wanted.sub(found).abs().max().ToDouble(), 0, tolerance * (1 + wanted.abs().max().ToDouble()));
    }
}
