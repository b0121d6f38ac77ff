// Lesson 3: teaches a BERT to classify texts: a new head on a pretrained model, trained whole beside the adapter and saved with it.
using Classify;
using Lora;
using Lora.Llm;
using Samples;
using Spectre.Console;
using static TorchSharp.torch;

return Lesson.Run(args, ClassifySettings.Usage, ClassifySettings.Parse, (settings, cancellationToken) =>
{
    if (settings.Pretrain is null) Run(settings, cancellationToken);
    else Pretraining.Run(settings, cancellationToken);
});

static void Run(ClassifySettings settings, CancellationToken cancellationToken)
{
    manual_seed(1);
    using SequenceClassifier model = Base(settings);
    HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(settings.Model);
    OutputFolder.Prepare(settings.Out);
    var source = new Reviews(seed: 5);
    Review[] learned = [.. Enumerable.Range(0, settings.Examples).Select(_ => source.Review(heldOut: false))], heldOut = [.. Enumerable.Range(0, settings.HeldOut).Select(_ => source.Review(heldOut: true))];

    // The pooler is new as the head is: a masked language model has none. What is new must be trained whole, or the file would not hold it.
    using LoraModel<SequenceClassifier> lora = LoraModel.Wrap(model, new LoraConfig
    {
        Rank = settings.Rank,
        Alpha = 2 * settings.Rank,
        TargetModules = ModuleSelector.EndsWith("query", "key", "value", "attention.output.dense", "intermediate.dense"),
        ModulesToSave = ["pooler", "classifier"],
        TaskType = "SEQ_CLS",
    });
    Console.WriteLine($"{learned.Length} reviews to learn; {heldOut.Length} held out, whose words none of them has.\n{lora.ParameterCounts}");
    var answers = new Answers(tokenizer, heldOut);
    int[] before = answers.Of(model);
    model.train();
    var training = new ClassifierTraining(lora.TrainableParameters(), batch => answers.Loss(model, [.. batch.Select(i => learned[i])]), () => answers.MeanLoss(model))
    {
        Examples = learned.Length,
        Steps = settings.Steps,
        Batch = settings.Batch,
        Rate = settings.Rate,
    };
    TrainingResult result = training.Run(new ProgressLines(), cancellationToken);
    int[] after = answers.Of(model);

    lora.Save(settings.Out);
    var matrix = new ConfusionMatrix(model.Labels, [.. heldOut.Select(review => review.Label)], after);
    matrix.Save(Path.Combine(settings.Out, "confusion.svg"), "Held-out reviews");
    LossCurve.Save(Path.Combine(settings.Out, "loss.svg"), result, $"LoRA of rank {settings.Rank} on a BERT: reviews", "loss (nats per review)");
    var table = new Table().AddColumns("held-out review", "is", "before", "after");
    for (int i = 0; i < Math.Min(6, heldOut.Length); i++) table.AddRow(heldOut[i].Text, model.Labels[heldOut[i].Label], model.Labels[before[i]], model.Labels[after[i]]);
    AnsiConsole.Write(table);
    Console.WriteLine($"Right on held-out reviews: {new ConfusionMatrix(model.Labels, [.. heldOut.Select(review => review.Label)], before).Share} before, {matrix.Share} after.");

    // Another base has another head by chance; the file brings the trained one.
    using SequenceClassifier again = Base(settings);
    using LoraModel<SequenceClassifier> loaded = LoraModel.Load(again, settings.Out);
    Console.WriteLine($"Loaded on a fresh base, the adapter gives {answers.Of(again).Zip(after).Count(pair => pair.First == pair.Second)} of {after.Length} answers as before.");
    Console.WriteLine($"Wrote adapter_config.json, adapter_model.safetensors, confusion.svg and loss.svg to {settings.Out}");
}

static SequenceClassifier Base(ClassifySettings settings) => AutoModel.FromPretrained<SequenceClassifier>(
    settings.Model, new PretrainedOptions { Labels = Reviews.Labels, Device = device(cuda.is_available() ? "cuda" : "cpu") });
