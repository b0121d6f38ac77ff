// Lesson 4: teaches a ResNet new classes from a hundred pictures: adapters on its convolutions, and a new head.
using Images;
using Lora;
using Lora.Llm;
using Samples;
using static TorchSharp.torch;

return Lesson.Run(args, ImageSettings.Usage, ImageSettings.Parse, (settings, cancellationToken) =>
{
    if (settings.Pretrain is null) Run(settings, cancellationToken);
    else Pretraining.Run(settings, cancellationToken);
});

static void Run(ImageSettings settings, CancellationToken cancellationToken)
{
    manual_seed(1);
    using ImageClassifier model = Base(settings);
    OutputFolder.Prepare(settings.Out);
    Pictures learned = new(Shape.New, settings.Examples, seed: 11), heldOut = new(Shape.New, settings.HeldOut, seed: 12);
    using LoraModel<ImageClassifier> lora = LoraModel.Wrap(model, new LoraConfig
    {
        Rank = settings.Rank,
        Alpha = 2 * settings.Rank,
        TargetModules = ModuleSelector.EndsWith("convolution"),
        ModulesToSave = ["classifier"],
    });
    Console.WriteLine($"{settings.Examples} pictures of {string.Join(", ", model.Labels)} to learn, {settings.HeldOut} held out; {lora.Layers.Count} convolutions get an adapter.\n{lora.ParameterCounts}");
    int[] before = Answers.Of(model, heldOut);
    // In evaluation mode: training would move the running means of the batch norms, which belong to the base and are in no adapter's file.
    model.eval();
    var training = new ClassifierTraining(lora.TrainableParameters(), batch => Answers.Loss(model, learned, batch), () => Answers.MeanLoss(model, heldOut))
    {
        Examples = settings.Examples,
        Steps = settings.Steps,
        Batch = settings.Batch,
        Rate = settings.Rate,
    };
    TrainingResult result = training.Run(new ProgressLines(), cancellationToken);
    int[] after = Answers.Of(model, heldOut);

    lora.Save(settings.Out);
    var matrix = new ConfusionMatrix(model.Labels, heldOut.Labels, after);
    matrix.Save(Path.Combine(settings.Out, "confusion.svg"), "Held-out pictures");
    Gallery.Save(Path.Combine(settings.Out, "pictures.svg"), heldOut, model.Labels, after, most: 40);
    LossCurve.Save(Path.Combine(settings.Out, "loss.svg"), result, $"LoRA of rank {settings.Rank} on a ResNet's convolutions", "loss (nats per picture)");
    Console.WriteLine($"Right on held-out pictures: {new ConfusionMatrix(model.Labels, heldOut.Labels, before).Share} before, {matrix.Share} after.");

    // Another base has another head by chance; the file brings the trained one.
    using ImageClassifier again = Base(settings);
    using LoraModel<ImageClassifier> loaded = LoraModel.Load(again, settings.Out);
    Console.WriteLine($"Loaded on a fresh base, the adapter gives {Answers.Of(again, heldOut).Zip(after).Count(pair => pair.First == pair.Second)} of {after.Length} answers as before.");
    Console.WriteLine($"Wrote adapter_config.json, adapter_model.safetensors, confusion.svg, pictures.svg and loss.svg to {settings.Out}");
}

static ImageClassifier Base(ImageSettings settings) => AutoModel.FromPretrained<ImageClassifier>(
    settings.Model, new PretrainedOptions { Labels = [.. Shape.New.Select(shape => shape.Name)], Device = device(cuda.is_available() ? "cuda" : "cpu") });
