// Lesson 1: fine-tunes a language model with a LoRA adapter, from a Hugging Face folder and a JSONL file to PEFT's two files.
using System.Runtime.InteropServices;
using FineTune;
using Lora;
using Lora.Llm;
using Samples;
using Spectre.Console;
using TorchSharp;
using static TorchSharp.torch;

using var cancellation = new CancellationTokenSource();
Console.CancelKeyPress += (_, press) =>
{
    press.Cancel = true;
    cancellation.Cancel();
};
try
{
    FineTuneOptions options = FineTuneOptions.Parse(args);
    if (options.AsksForHelp) Console.WriteLine(FineTuneOptions.Usage);
    else Run(options, cancellation.Token);
    return 0;
}
catch (UsageException exception)
{
    Console.Error.WriteLine($"error: {exception.Message}\n\n{FineTuneOptions.Usage}");
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
    string message = exception is ArgumentException { ParamName: string name } ? exception.Message.Replace($" (Parameter '{name}')", "", StringComparison.Ordinal) : exception.Message;
    Console.Error.WriteLine($"error: {message}");
    return 1;
}

static void Run(FineTuneOptions options, CancellationToken cancellationToken)
{
    Device where = device(options.Device ?? (cuda.is_available() ? "cuda" : "cpu"));
    using LlamaModel model = LlamaModel.FromPretrained(options.Model, new PretrainedOptions { Device = where });
    HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(options.Model);
    int? end = tokenizer.EosId ?? (model.EndTokenIds.Count > 0 ? model.EndTokenIds[0] : null);
    var reading = new JsonlOptions { MaxLength = options.Length, EndTokenId = end };
    JsonlDataset data = JsonlDataset.Load(options.Data, tokenizer, reading);
    JsonlDataset heldOut = JsonlDataset.Load(options.Eval, tokenizer, reading with { MaxExamples = options.EvalRows });
    manual_seed(options.Training.Seed);
    using LoraModel<LlamaModel> lora = LoraModel.Wrap(model, options.Adapter);
    OutputFolder.Prepare(options.Out);
    Console.WriteLine($"{options.Adapter.BaseModelNameOrPath} on {where}; {data.Examples.Count} examples to learn, {heldOut.Examples.Count} held out.");
    Console.WriteLine(lora.ParameterCounts);

    var matching = new ExactMatch(tokenizer, heldOut, options.Matches, end);
    ExactMatch.Score before = matching.Measure(model, cancellationToken);
    var trainer = new LoraTrainer<LlamaModel>(lora, options.Training);
    TrainingResult result = TrainingDisplay.Show(options.Training.Steps!.Value, progress => trainer.Train(data, heldOut, progress, cancellationToken));
    ExactMatch.Score after = matching.Measure(model, cancellationToken);

    lora.Save(options.Out);
    LossCurve.Save(Path.Combine(options.Out, "loss.svg"), result, $"LoRA of rank {options.Adapter.Rank}: {Path.GetFileName(options.Data)}");

    Report.Write(options, result, matching, before, after);
    (float difference, float largest) = CompareMerged(lora, heldOut);
    Console.WriteLine(FormattableString.Invariant($"Merged and unmerged logits differ by at most {difference:0.0e+0}, where the largest is {largest:F1}."));
}

// The adapter beside the weights, and inside them, on the first held-out examples.
static (float Difference, float Largest) CompareMerged(LoraModel<LlamaModel> lora, JsonlDataset heldOut)
{
    using var noGrad = no_grad();
    using var scope = NewDisposeScope();
    using TrainingBatch batch = TrainingBatch.Collate([.. heldOut.Examples.Take(8)], padTokenId: 0, lora.Model.parameters().First().device);
    var input = new CausalInput(batch.InputIds) { AttentionMask = batch.AttentionMask };
    Tensor beside = lora.Model.call(input);
    lora.Merge(new MergeOptions { KeepOriginal = true });
    Tensor inside = lora.Model.call(input);
    lora.Unmerge();
    return (Largest(inside.sub(beside)), Largest(beside));

    static float Largest(Tensor values) => values.abs().max().to(ScalarType.Float32).cpu().item<float>();
}
