// Lesson 1: fine-tunes a language model with a LoRA adapter, from a Hugging Face folder and a JSONL file to PEFT's two files.
using FineTune;
using Lora;
using Lora.Llm;
using Samples;
using Spectre.Console;
using TorchSharp;
using static TorchSharp.torch;

return Lesson.Run(args, FineTuneOptions.Usage, FineTuneOptions.Parse, Run);

static void Run(FineTuneOptions options, CancellationToken cancellationToken)
{
    Device where = device(options.Device ?? (cuda.is_available() ? "cuda" : "cpu"));
    using CausalLanguageModel model = AutoModel.FromPretrained(options.Model, new PretrainedOptions { Device = where });
    HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(options.Model);
    int? end = tokenizer.EosId ?? (model.EndTokenIds.Count > 0 ? model.EndTokenIds[0] : null);
    var reading = new JsonlOptions { MaxLength = options.Length, EndTokenId = end };
    JsonlDataset data = JsonlDataset.Load(options.Data, tokenizer, reading);
    JsonlDataset heldOut = JsonlDataset.Load(options.Eval, tokenizer, reading with { MaxExamples = options.EvalRows });
    manual_seed(options.Training.Seed);
    using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, options.Adapter);
    OutputFolder.Prepare(options.Out);
    Console.WriteLine($"{options.Adapter.BaseModelNameOrPath} on {where}; {data.Examples.Count} examples to learn, {heldOut.Examples.Count} held out.");
    Console.WriteLine(lora.ParameterCounts);

    var matching = new ExactMatch(tokenizer, heldOut, options.Matches, end);
    ExactMatch.Score before = matching.Measure(model, cancellationToken);
    var trainer = new LoraTrainer<CausalLanguageModel>(lora, options.Training);
    TrainingResult result = TrainingDisplay.Show(options.Training.Steps!.Value, progress => trainer.Train(data, heldOut, progress, cancellationToken));
    foreach (string remark in result.Remarks) Console.WriteLine($"note: {remark}");
    ExactMatch.Score after = matching.Measure(model, cancellationToken);

    lora.Save(options.Out);
    LossCurve.Save(Path.Combine(options.Out, "loss.svg"), result, $"LoRA of rank {options.Adapter.Rank}: {Path.GetFileName(options.Data)}");

    Report.Write(options, result, matching, before, after);
    (float difference, float largest) = CompareMerged(lora, heldOut);
    Console.WriteLine(FormattableString.Invariant($"Merged and unmerged logits differ by at most {difference:0.0e+0}, where the largest is {largest:F1}."));
}

// The adapter beside the weights, and inside them, on the first held-out examples.
static (float Difference, float Largest) CompareMerged(LoraModel<CausalLanguageModel> lora, JsonlDataset heldOut)
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
