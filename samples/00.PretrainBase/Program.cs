// Makes the base model and the data of 01.FineTune, and with --family gpt2 those of 06.Gpt2: a vocabulary, a tiny model that has read stories about a small world, and a task it has never seen.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lora.Llm;
using Lora.Serialization;
using PretrainBase;
using Samples;
using static TorchSharp.torch;

const string Usage = """
    usage: dotnet run -c Release --project samples/00.PretrainBase -- [--family llama|gpt2] [--out FOLDER] [--steps N] [--batch N] [--rate R] [--seed N]

    Writes FOLDER/model (a Llama or a GPT-2 in Hugging Face form) and FOLDER/data (train.jsonl, eval.jsonl). FOLDER is samples/01.FineTune or samples/06.Gpt2 if not given.
    --steps 0 writes the data alone.
    """;

CommandLine line;
string folder;
int steps, batch, seed;
double rate;
Family family;
try
{
    line = new CommandLine(args, ["family", "out", "steps", "batch", "rate", "seed"]);
    family = Family.Named(line.Choice("family", FamilyName.Llama));
    folder = line.Text("out", Path.Combine("samples", family.Lesson));
    steps = line.Count("steps", 2000, least: 0);
    batch = line.Count("batch", 16, least: 1);
    rate = line.Number("rate", 4e-3, least: 0);
    seed = line.Count("seed", 1, least: 0);
}
catch (UsageException exception)
{
    Console.Error.WriteLine($"error: {exception.Message}\n\n{Usage}");
    return 2;
}
if (line.AsksForHelp)
{
    Console.WriteLine(Usage);
    return 0;
}

string data = Directory.CreateDirectory(Path.Combine(folder, "data")).FullName;
if (family.WritesLetters)
{
    var letters = new LetterTask(seed);
    var known = new HashSet<string>(StringComparer.Ordinal);
    letters.Write(Path.Combine(data, "train.jsonl"), 400, known);
    letters.Write(Path.Combine(data, "eval.jsonl"), 64, known);
}
else
{
    var task = new RecordTask(seed);
    task.Write(Path.Combine(data, "train.jsonl"), 1500, heldOut: false);
    task.Write(Path.Combine(data, "eval.jsonl"), 128, heldOut: true);
}
Console.WriteLine($"Wrote the task to {data}.");
if (steps == 0) return 0;

string target = Directory.CreateDirectory(Path.Combine(folder, "model")).FullName;
var clock = Stopwatch.StartNew();
var corpus = new Corpus(texts: 40_000, seed, family.WritesLetters);
Console.WriteLine($"The first of {corpus.Training.Count} texts: {corpus.Training[0]}");
BytePairTrainer.Train(corpus.Training, vocabularySize: 640, target);
HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(target);
IReadOnlyList<TrainingExample> first = Corpus.Examples(corpus.First, tokenizer, maxLength: 96), examples = Corpus.Examples(corpus.Training, tokenizer, maxLength: 96), heldOut = Corpus.Examples(corpus.HeldOut, tokenizer, maxLength: 96);

JsonObject config = family.Config(tokenizer);
string configPath = Path.Combine(target, "config.json");
File.WriteAllText(configPath, config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
manual_seed(seed);
using CausalLanguageModel model = family.Make(configPath);
long parameters = model.parameters().Sum(parameter => parameter.numel());
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{parameters:N0} parameters, {tokenizer.VocabularySize} entries, {examples.Sum(example => (long)example.InputIds.Count):N0} tokens to read; {clock.Elapsed.TotalSeconds:F0} s so far."));

var pretraining = new Pretraining(model, batch, steps, rate, seed);
double before = Math.Exp(pretraining.Loss(heldOut));
pretraining.Train(first, examples);
double after = Math.Exp(pretraining.Loss(heldOut));
SafetensorsWriter.Save(Path.Combine(target, "model.safetensors"), model.named_parameters().Select(p => KeyValuePair.Create(p.name, (Tensor)p.parameter)));
var facts = new JsonObject
{
    ["parameters"] = parameters,
    ["steps"] = steps,
    ["batch"] = batch,
    ["rate"] = rate,
    ["seed"] = seed,
    ["held_out_tokens"] = heldOut.Sum(example => example.LearnedTokens),
    ["held_out_perplexity"] = Math.Round(after, 3),
};
File.WriteAllText(Path.Combine(target, "pretraining.json"), facts.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
Console.WriteLine(FormattableString.Invariant($"Held-out perplexity {before:F1} -> {after:F3} in {clock.Elapsed:m\\:ss}. Wrote {target}."));
string opening = "One day Mia went out and";
Console.WriteLine($"{opening}{model.GenerateText(tokenizer, opening, new GenerationOptions { MaxNewTokens = 60, Temperature = 0.8, Seed = seed })}");
return 0;
