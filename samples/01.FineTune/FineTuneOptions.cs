using System.Text.RegularExpressions;
using Lora;
using Lora.Llm;
using Samples;

namespace FineTune;

/// <summary>What the command line asks for.</summary>
internal sealed record FineTuneOptions : ILessonSettings
{
    internal const string Usage = """
        usage: dotnet run -c Release --project samples/01.FineTune -- [options]

          --model FOLDER        a language model in Hugging Face form                 [the embedded tiny one]
          --data FILE           examples to learn: JSONL of prompt and completion     [the embedded task]
          --eval FILE           held-out examples, needed with --data                 [the embedded task's]
          --eval-rows N         reads no more than N of them, 0 reads all             [0]
          --matches N           generates N of them before and after, to count exact
                                matches; 0 leaves that out                            [64; 128 for the embedded task]
          --out FOLDER          where the adapter goes                                [artifacts/quickstart/adapter]

          --rank N              rank of the update                                    [8]
          --alpha X             its scale is alpha / rank                             [16]
          --targets NAMES       all-linear, or names with commas: q_proj,v_proj       [all-linear]
          --dropout P           dropout in front of the update                        [0]

          --steps N             optimizer steps                                       [400]
          --batch N             examples a batch                                      [32]
          --accumulation N      batches a step                                        [1]
          --length N            tokens an example, more are cut off                   [256]
          --rate X              learning rate                                         [5e-3]
          --schedule KIND       constant, linear or cosine                            [cosine]
          --warmup N            steps in which the rate rises                         [10]
          --weight-decay X      of AdamW                                              [0]
          --clip X              largest norm of the gradients, 0 does not clip        [1]
          --seed N              of the adapter's start, the order and dropout         [42]
          --device NAME         cpu, cuda, cuda:1                                     [cuda where there is one]
        """;

    // Beside the program, where the build has put them.
    private static readonly string s_embedded = Path.GetRelativePath(Environment.CurrentDirectory, AppContext.BaseDirectory);

    public required bool AsksForHelp { get; init; }

    internal required bool IsEmbeddedTask { get; init; }

    internal required string Model { get; init; }

    internal required string Data { get; init; }

    internal required string Eval { get; init; }

    internal required int? EvalRows { get; init; }

    internal required int Matches { get; init; }

    internal required string Out { get; init; }

    internal required int Length { get; init; }

    internal required string? Device { get; init; }

    internal required LoraConfig Adapter { get; init; }

    internal required TrainingOptions Training { get; init; }

    /// <exception cref="UsageException">An argument is wrong.</exception>
    internal static FineTuneOptions Parse(string[] arguments)
    {
        var line = new CommandLine(arguments,
        [
            "model", "data", "eval", "eval-rows", "matches", "out", "rank", "alpha", "targets", "dropout", "steps", "batch", "accumulation", "length", "rate", "schedule",
            "warmup", "weight-decay", "clip", "seed", "device",
        ]);
        if (line.Has("data") != line.Has("eval")) throw new UsageException($"--{(line.Has("data") ? "data" : "eval")} is given without --{(line.Has("data") ? "eval" : "data")}.");

        bool embedded = !line.Has("data");
        int steps = line.Count("steps", 400, least: 1), rows = line.Count("eval-rows", 0, least: 0), seed = line.Count("seed", 42, least: 0);
        string model = line.Text("model", Path.Combine(s_embedded, "model"));
        var options = new FineTuneOptions
        {
            AsksForHelp = line.AsksForHelp,
            IsEmbeddedTask = embedded,
            Model = model,
            Data = line.Text("data", Path.Combine(s_embedded, "data", "train.jsonl")),
            Eval = line.Text("eval", Path.Combine(s_embedded, "data", "eval.jsonl")),
            EvalRows = rows == 0 ? null : rows,
            Matches = line.Count("matches", embedded ? 128 : 64, least: 0),
            Out = line.Text("out", Path.Combine("artifacts", "quickstart", "adapter")),
            Length = line.Count("length", 256, least: 2),
            Device = line.Has("device") ? DeviceName(line.Text("device", "")) : null,
            Adapter = new LoraConfig
            {
                Rank = line.Count("rank", 8, least: 1),
                Alpha = line.Number("alpha", 16),
                Dropout = line.Number("dropout", 0, least: 0, most: 1),
                TargetModules = Targets(line.Text("targets", "all-linear")),
                BaseModelNameOrPath = line.Has("model") ? model : "samples/01.FineTune/model",
                TaskType = "CAUSAL_LM",
            },
            Training = new TrainingOptions
            {
                Steps = steps,
                BatchSize = line.Count("batch", 32, least: 1),
                GradientAccumulation = line.Count("accumulation", 1, least: 1),
                LearningRate = line.Number("rate", 5e-3, least: 0),
                Schedule = line.Choice("schedule", ScheduleKind.Cosine),
                WarmupSteps = line.Count("warmup", Math.Min(10, steps), least: 0),
                WeightDecay = line.Number("weight-decay", 0, least: 0),
                MaxGradientNorm = line.Number("clip", 1, least: 0),
                EvaluationInterval = Math.Max(1, steps / 8),
                Seed = seed,
            },
        };
        try
        {
            options.Adapter.Validate();
            options.Training.Validate();
        }
        catch (ArgumentException exception)
        {
            throw new UsageException(exception.Message);
        }
        return options;
    }

    private static string DeviceName(string text) => Regex.IsMatch(text, @"^(cpu|cuda(:\d+)?)$")
        ? text
        : throw new UsageException($"--device must be cpu, cuda or cuda:N, but is '{text}'.");

    private static ModuleSelector Targets(string text)
    {
        string[] names = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return names switch
        {
            [] => throw new UsageException("--targets names no module."),
            ["all-linear"] => ModuleSelector.AllLinear,
            _ => ModuleSelector.EndsWith(names),
        };
    }
}
