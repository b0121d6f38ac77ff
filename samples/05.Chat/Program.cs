// Lesson 5: fine-tunes a model on conversations. A chat template writes them, the assistant's turns alone are learned, and short ones share a row.
using Chat;
using Lora;
using Lora.Llm;
using Samples;
using static TorchSharp.torch;

return Lesson.Run(args, ChatSettings.Usage, ChatSettings.Parse, Run);

static void Run(ChatSettings settings, CancellationToken cancellationToken)
{
    using CausalLanguageModel model = AutoModel.FromPretrained(settings.Model, new PretrainedOptions { Device = device(cuda.is_available() ? "cuda" : "cpu") });
    HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(settings.Model);
    var reading = new ChatOptions { MaxLength = settings.Length };
    JsonlDataset data = JsonlDataset.LoadChat(settings.Data, tokenizer, settings.Template, reading), heldOut = JsonlDataset.LoadChat(settings.Eval, tokenizer, settings.Template, reading);
    OutputFolder.Prepare(settings.Out);
    int tokens = data.Examples.Sum(example => example.InputIds.Count), learned = data.Examples.Sum(example => example.LearnedTokens);
    Console.WriteLine($"{data.Examples.Count} conversations of {tokens:N0} tokens, of which the assistant's {learned:N0} are learned.");

    var training = new TrainingOptions
    {
        Steps = settings.Steps,
        BatchSize = settings.Batch,
        PackedLength = settings.Length,
        LearningRate = 5e-3,
        Schedule = ScheduleKind.Cosine,
        WarmupSteps = Math.Min(10, settings.Steps),
        EvaluationInterval = Math.Max(1, settings.Steps / 8),
    };
    manual_seed(training.Seed);
    using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 8, alpha: 16));
    var replies = new Replies(settings.Eval, settings.Replies, tokenizer, settings.Template);
    List<(string Asked, string Wanted, string Given)> before = replies.Ask(model, cancellationToken);
    TrainingResult result = new LoraTrainer<CausalLanguageModel>(lora, training).Train(data, heldOut, new ProgressLines(), cancellationToken);
    List<(string Asked, string Wanted, string Given)> after = replies.Ask(model, cancellationToken);

    lora.Save(settings.Out);
    LossCurve.Save(Path.Combine(settings.Out, "loss.svg"), result, $"LoRA of rank 8: conversations by {settings.Template.Name}");
    for (int i = 0; i < Math.Min(6, after.Count); i++)
        Console.WriteLine($"\nasked   {after[i].Asked}\nwanted  {after[i].Wanted}\nbefore  {before[i].Given}\nafter   {after[i].Given}");
    Console.WriteLine(FormattableString.Invariant(
        $"\nExact replies: {before.Count(reply => reply.Given == reply.Wanted)} before, {after.Count(reply => reply.Given == reply.Wanted)} after, of {after.Count}."));
    Console.WriteLine(FormattableString.Invariant($"Held-out loss {result.EvaluationLossBefore:F3} -> {result.EvaluationLossAfter:F3}; {result.Tokens:N0} tokens in {result.Elapsed.TotalSeconds:F0} s."));
    Console.WriteLine($"Wrote adapter_config.json, adapter_model.safetensors and loss.svg to {settings.Out}");
}
