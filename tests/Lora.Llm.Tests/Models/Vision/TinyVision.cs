using System.Text.Json.Nodes;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Vision;

/// <summary>Image classifiers of odd, different sizes.</summary>
internal static class TinyVision
{
    /// <summary>The configuration of a ResNet as transformers writes it.</summary>
    public static JsonObject ResNet(bool bottleneck, bool firstStage = false, bool inBottleneck = false, string activation = "relu") => new()
    {
        ["architectures"] = new JsonArray("ResNetForImageClassification"),
        ["model_type"] = "resnet",
        ["num_channels"] = 2,
        ["embedding_size"] = 5,
        ["hidden_sizes"] = bottleneck ? new JsonArray(8, 12) : new JsonArray(5, 7),
        ["depths"] = new JsonArray(2, 1),
        ["layer_type"] = bottleneck ? "bottleneck" : "basic",
        ["hidden_act"] = activation,
        ["downsample_in_first_stage"] = firstStage,
        ["downsample_in_bottleneck"] = inBottleneck,
        ["id2label"] = new JsonObject { ["0"] = "cat", ["1"] = "dog", ["2"] = "owl" },
    };

    /// <summary>The configuration of a ViT as transformers writes it.</summary>
    public static JsonObject ViT() => new()
    {
        ["architectures"] = new JsonArray("ViTForImageClassification"),
        ["model_type"] = "vit",
        ["hidden_size"] = 12,
        ["intermediate_size"] = 17,
        ["num_hidden_layers"] = 2,
        ["num_attention_heads"] = 3,
        ["image_size"] = 12,
        ["patch_size"] = 4,
        ["num_channels"] = 2,
        ["id2label"] = new JsonObject { ["0"] = "cat", ["1"] = "dog", ["2"] = "owl" },
    };

    /// <summary>The configuration that a JSON text gives.</summary>
    public static ResNetConfig ResNetOf(JsonObject json) => Read(json, ResNetConfig.FromFile);

    /// <inheritdoc cref="ResNetOf"/>
    public static ViTConfig ViTOf(JsonObject json) => Read(json, ViTConfig.FromFile);

    /// <summary>A ResNet whose weights and statistics are all drawn at random.</summary>
    public static ResNetModel MakeResNet(JsonObject json, ScalarType type = ScalarType.Float64) => PretrainedFolder.Filled(new ResNetModel(ResNetOf(json), type, TestDevice.Current));

    /// <summary>A ViT whose weights are all drawn at random.</summary>
    public static ViTModel MakeViT(ScalarType type = ScalarType.Float64) => PretrainedFolder.Filled(new ViTModel(ViTOf(ViT()), type, TestDevice.Current));

    /// <summary>Random images.</summary>
    public static Tensor Images(int batch, int height, int width, ScalarType type = ScalarType.Float64)
    {
        using var generator = new Generator(3);
        return randn([batch, 2, height, width], generator: generator).to(type).to(TestDevice.Current);
    }

    private static T Read<T>(JsonObject json, Func<string, T> read)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["config.json"], json.ToJsonString());
        return read(folder["config.json"]);
    }
}
