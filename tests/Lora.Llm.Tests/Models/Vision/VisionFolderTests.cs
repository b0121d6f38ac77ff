using System.Text.Json.Nodes;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Vision;

/// <summary>Image classifiers from folders as transformers writes them.</summary>
public sealed class VisionFolderTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_ResNet_arrives_with_its_running_statistics(bool bottleneck)
    {
        JsonObject json = TinyVision.ResNet(bottleneck);
        using ResNetModel model = TinyVision.MakeResNet(json);
        using var folder = new PretrainedFolder(model, json);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using ImageClassifier loaded = AutoModel.FromPretrained<ImageClassifier>(folder.Path, new PretrainedOptions { Device = TestDevice.Current });
        Assert.False(loaded.training);
        Assert.Equal(["cat", "dog", "owl"], loaded.Labels);
        Dictionary<string, Tensor> there = loaded.state_dict();
        Assert.Contains("resnet.embedder.embedder.normalization.running_var", there.Keys);
        foreach ((string name, Tensor wanted) in model.state_dict()) Assert.True(Same(wanted, there[name]), name);
        Tensor images = TinyVision.Images(2, 33, 35);
        Assert.True(Same(model.call(images), loaded.call(images)));
    }

    [Fact]
    public void A_ViT_arrives()
    {
        using ViTModel model = TinyVision.MakeViT();
        using var folder = new PretrainedFolder(model, TinyVision.ViT());
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using ImageClassifier loaded = AutoModel.FromPretrained<ImageClassifier>(folder.Path, new PretrainedOptions { Device = TestDevice.Current });
        Tensor images = TinyVision.Images(2, 12, 12);
        Assert.True(Same(model.call(images), loaded.call(images)));
        Assert.Equal(
            "The images are 12 x 16 pixels, but this ViT was made for 12 x 12: resize them, or set InterpolatesPositions. (Parameter 'pixels')",
            Assert.Throws<ArgumentException>(() => loaded.call(TinyVision.Images(1, 12, 16))).Message);
    }

    [Fact]
    public void Missing_and_misshapen_statistics_are_in_the_report()
    {
        const string Norm = "resnet.embedder.embedder.normalization";
        JsonObject json = TinyVision.ResNet(bottleneck: false);
        using ResNetModel model = TinyVision.MakeResNet(json);
        using var folder = new PretrainedFolder(model, json, tensors =>
        {
            tensors.Remove($"{Norm}.running_mean");
            tensors[$"{Norm}.running_var"] = ones(4, dtype: ScalarType.Float64);
            tensors[$"{Norm}.num_batches_tracked"] = tensor(1.5);
            tensors["stray"] = ones(2);
        });
        IReadOnlyList<string> problems = Assert.Throws<AdapterFormatException>(() => ResNetModel.FromPretrained(folder.Path)).Problems;
        Assert.Equal(
            [
                $"missing tensor {Norm}.running_mean, shape [5]",
                $"tensor {Norm}.num_batches_tracked has the type F64, but counts are I64",
                $"tensor {Norm}.running_var has the shape [4], but the configuration gives [5]",
                "unexpected tensor stray, shape [2]",
            ],
            problems.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_new_head_begins_on_the_body_of_a_folder()
    {
        JsonObject json = TinyVision.ResNet(bottleneck: true);
        using ResNetModel model = TinyVision.MakeResNet(json);
        using var folder = new PretrainedFolder(model, json);
        using var scope = NewDisposeScope();
        using ImageClassifier loaded = AutoModel.FromPretrained<ImageClassifier>(folder.Path, new PretrainedOptions { Labels = ["round", "square"], Device = TestDevice.Current });
        Assert.Equal(["round", "square"], loaded.Labels);
        Dictionary<string, Tensor> before = model.state_dict(), there = loaded.state_dict();
        Assert.Equal([2, 12], there["classifier.1.weight"].shape);
        Assert.All(before.Where(pair => pair.Key.StartsWith("resnet.", StringComparison.Ordinal)), pair => Assert.True(Same(pair.Value, there[pair.Key])));
    }

    private static bool Same(Tensor wanted, Tensor found) => wanted.shape.SequenceEqual(found.shape) && wanted.eq(found).all().item<bool>();
}
