// Lesson 6: teaches a GPT-2 that has read stories to write letters. Its matrices are transposed (Conv1D), which the adapter's file says as PEFT's do.
using Gpt2Letters;
using Lora;
using Lora.Llm;
using Samples;
using Spectre.Console;
using static TorchSharp.torch;

return Lesson.Run(args, LetterSettings.Usage, LetterSettings.Parse, Run);

static void Run(LetterSettings settings, CancellationToken cancellationToken)
{
    using Gpt2Model model = Gpt2Model.FromPretrained(settings.Model, new PretrainedOptions { Device = device(cuda.is_available() ? "cuda" : "cpu") });
    HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(settings.Model);
    var reading = new JsonlOptions { MaxLength = model.MaxPositions, EndTokenId = tokenizer.EosId };
    JsonlDataset data = JsonlDataset.Load(settings.Data, tokenizer, reading), heldOut = JsonlDataset.Load(settings.Eval, tokenizer, reading);
    OutputFolder.Prepare(settings.Out);

    var training = new TrainingOptions
    {
        Steps = settings.Steps,
        BatchSize = settings.Batch,
        LearningRate = 5e-3,
        Schedule = ScheduleKind.Cosine,
        WarmupSteps = Math.Min(10, settings.Steps),
        EvaluationInterval = Math.Max(1, settings.Steps / 8),
    };
    manual_seed(training.Seed);
    using LoraModel<Gpt2Model> lora = LoraModel.Wrap(model, new LoraConfig
    {
        Rank = settings.Rank,
        Alpha = 2 * settings.Rank,
        TargetModules = ModuleSelector.EndsWith("c_attn", "c_proj", "c_fc"),
        TaskType = "CAUSAL_LM",
    });
    Console.WriteLine($"{data.Examples.Count} texts to learn, {heldOut.Examples.Count} held out.\n{lora.ParameterCounts}");
    var continuations = new Continuations(tokenizer, heldOut.Records, settings.Letters);
    IReadOnlyList<string> before = continuations.Write(model, cancellationToken);
    TrainingResult result = new LoraTrainer<Gpt2Model>(lora, training).Train(data, heldOut, new ProgressLines(), cancellationToken);
    IReadOnlyList<string> after = continuations.Write(model, cancellationToken);

    lora.Save(settings.Out);
    LossCurve.Save(Path.Combine(settings.Out, "loss.svg"), result, $"LoRA of rank {settings.Rank} on a GPT-2: {Path.GetFileName(settings.Data)}");
    for (int i = 0; i < Math.Min(3, after.Count); i++)
    {
        AnsiConsole.Write(new Panel(new Text(before[i])).Header("before"));
        AnsiConsole.Write(new Panel(new Text(after[i])).Header("after"));
    }
    Console.WriteLine($"Texts in the form of a letter: {Continuations.Letters(before)} before, {Continuations.Letters(after)} after, of {after.Count}.");
    Console.WriteLine(FormattableString.Invariant(
        $"Held-out perplexity {Math.Exp(result.EvaluationLossBefore!.Value):F2} -> {Math.Exp(result.EvaluationLossAfter!.Value):F2}; {result.Tokens:N0} tokens in {result.Elapsed.TotalSeconds:F0} s."));
    Console.WriteLine($"Wrote adapter_config.json, adapter_model.safetensors and loss.svg to {settings.Out}");
}
