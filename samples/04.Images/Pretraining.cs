using System.Text.Json;
using System.Text.Json.Nodes;
using Lora.Llm;
using Lora.Serialization;
using Samples;
using static TorchSharp.torch;

namespace Images;

/// <summary>Makes the base of this lesson: a tiny ResNet that tells six shapes apart. Those of the lesson are not among them.</summary>
internal static class Pretraining
{
    private const int Learned = 3000, HeldOut = 600;

    internal static void Run(ImageSettings settings, CancellationToken cancellationToken)
    {
        string folder = Directory.CreateDirectory(settings.Pretrain!).FullName, config = Path.Combine(folder, "config.json");
        File.WriteAllText(config, Config().ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
        Pictures learned = new(Shape.Known, Learned, seed: 1), heldOut = new(Shape.Known, HeldOut, seed: 2);
        manual_seed(1);
        using var model = new ResNetModel(ResNetConfig.FromFile(config));
        model.train();
        var training = new ClassifierTraining([.. model.parameters()], batch => Answers.Loss(model, learned, batch), () => Answers.MeanLoss(model, heldOut))
        {
            Examples = Learned,
            Steps = settings.Steps,
            Batch = 32,
            Rate = 3e-3,
        };
        TrainingResult result = training.Run(new ProgressLines(), cancellationToken);
        // With the running means and variances of the batch norms, which are no parameters.
        SafetensorsWriter.Save(Path.Combine(folder, "model.safetensors"), model.state_dict());
        var matrix = new ConfusionMatrix(model.Labels, heldOut.Labels, Answers.Of(model, heldOut));
        Console.WriteLine(FormattableString.Invariant($"{model.parameters().Sum(p => p.numel()):N0} parameters; right on held-out pictures: {matrix.Share}, in {result.Elapsed.TotalSeconds:F0} s. Wrote {settings.Pretrain}."));
    }

    private static JsonObject Config()
    {
        var labels = new JsonObject();
        for (int i = 0; i < Shape.Known.Length; i++) labels.Add($"{i}", Shape.Known[i].Name);
        return new JsonObject
        {
            ["architectures"] = new JsonArray("ResNetForImageClassification"),
            ["model_type"] = "resnet",
            ["num_channels"] = 3,
            ["embedding_size"] = 16,
            ["hidden_sizes"] = new JsonArray(16, 32, 64),
            ["depths"] = new JsonArray(1, 1, 1),
            ["layer_type"] = "basic",
            ["hidden_act"] = "relu",
            ["downsample_in_first_stage"] = false,
            ["id2label"] = labels,
        };
    }
}
