// Lesson 7: teaches a model which of two answers is preferred (DPO). The reference is the same model with its adapter switched off.
using System.Runtime.InteropServices;
using Lora;
using Lora.Llm;
using Preferences;
using Samples;
using static TorchSharp.torch;

using var cancellation = new CancellationTokenSource();
Console.CancelKeyPress += (_, press) =>
{
    press.Cancel = true;
    cancellation.Cancel();
};
try
{
    PreferenceSettings settings = PreferenceSettings.Parse(args);
    if (settings.AsksForHelp) Console.WriteLine(PreferenceSettings.Usage);
    else Run(settings, cancellation.Token);
    return 0;
}
catch (UsageException exception)
{
    Console.Error.WriteLine($"error: {exception.Message}\n\n{PreferenceSettings.Usage}");
    return 2;
}
catch (OperationCanceledException)
{
    Console.Error.WriteLine("Cancelled. No adapter was written.");
    return 130;
}
catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException or AdapterFormatException or ArgumentException
    or InvalidOperationException or NotSupportedException or ExternalException)
{
    Console.Error.WriteLine($"error: {exception.Message}");
    return 1;
}

static void Run(PreferenceSettings settings, CancellationToken cancellationToken)
{
    using CausalLanguageModel model = AutoModel.FromPretrained(settings.Model, new PretrainedOptions { Device = device(cuda.is_available() ? "cuda" : "cpu") });
    HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(settings.Model);
    var reading = new JsonlOptions { MaxLength = settings.Length, EndTokenId = tokenizer.EosId };
    PreferenceDataset data = PreferenceDataset.Load(settings.Data, tokenizer, reading), heldOut = PreferenceDataset.Load(settings.Eval, tokenizer, reading);
    OutputFolder.Prepare(settings.Out);
    Console.WriteLine($"{data.Examples.Count} preferences to learn, {heldOut.Examples.Count} held out. The first:");
    Console.WriteLine($"  chosen    {tokenizer.Decode(data.Examples[0].Chosen.InputIds, skipSpecialTokens: true)}");
    Console.WriteLine($"  rejected  {tokenizer.Decode(data.Examples[0].Rejected.InputIds, skipSpecialTokens: true)}");

    var training = new TrainingOptions
    {
        Steps = settings.Steps,
        BatchSize = settings.Batch,
        LearningRate = settings.Rate,
        Schedule = ScheduleKind.Cosine,
        WarmupSteps = Math.Min(10, settings.Steps),
        EvaluationInterval = Math.Max(1, settings.Steps / 8),
        Checkpoints = settings.Checkpoints is string folder ? new CheckpointOptions(folder) { Interval = 25 } : null,
    };
    manual_seed(training.Seed);
    using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 8, alpha: 16));
    var objective = new PreferenceObjective(new PreferenceOptions { Kind = settings.Kind, Beta = settings.Beta });
    using var metrics = new CsvMetrics(Path.Combine(settings.Out, "steps.csv"));
    TrainingResult result = new LoraTrainer<CausalLanguageModel>(lora, training).Train(objective, data, heldOut, new Lines(metrics), cancellationToken);

    lora.Save(settings.Out);
    if (result.Steps.Count > 0)
    {
        string title = $"Preferences, β = {settings.Beta}";
        LossCurve.Save(Path.Combine(settings.Out, "loss.svg"), result, title, "loss (per preference)");
        LossCurve.SaveMetric(Path.Combine(settings.Out, "margin.svg"), result, title, "rewards/margin");
    }
    (IReadOnlyDictionary<string, double> before, IReadOnlyDictionary<string, double> after) = (result.EvaluationMetricsBefore, result.EvaluationMetricsAfter);
    Console.WriteLine(FormattableString.Invariant($"\nHeld out                         before    after"));
    Console.WriteLine(FormattableString.Invariant($"the chosen answer more probable {before["logps/accuracy"],7:P0} {after["logps/accuracy"],8:P0}"));
    Console.WriteLine(FormattableString.Invariant($"margin of the rewards           {before["rewards/margin"],7:0.00;-0.00;0.00} {after["rewards/margin"],8:F2}"));
    Console.WriteLine(FormattableString.Invariant($"log-probability of the chosen   {before["logps/chosen"],7:F1} {after["logps/chosen"],8:F1}"));
    Console.WriteLine(FormattableString.Invariant($"log-probability of the rejected {before["logps/rejected"],7:F1} {after["logps/rejected"],8:F1}"));
    Console.WriteLine(FormattableString.Invariant($"Loss {result.EvaluationLossBefore:F3} -> {result.EvaluationLossAfter:F3}; {result.Tokens:N0} tokens in {result.Elapsed.TotalSeconds:F0} s."));
    Console.WriteLine($"Wrote adapter_config.json, adapter_model.safetensors, steps.csv, loss.svg and margin.svg to {settings.Out}");
}

/// <summary>Prints ten lines of a training, and hands every step on.</summary>
internal sealed class Lines(IProgress<TrainingStep> next) : IProgress<TrainingStep>
{
    public void Report(TrainingStep value)
    {
        next.Report(value);
        if (value.Step == 1 || value.Step * 10 / value.TotalSteps > (value.Step - 1) * 10 / value.TotalSteps)
            Console.WriteLine(FormattableString.Invariant($"step {value.Step}/{value.TotalSteps}  loss {value.Loss:F3}  margin {value.Metrics["rewards/margin"]:F2}  right {value.Metrics["logps/accuracy"]:P0}"));
    }
}
