// usage: FOLDER [PHASE COUNT]: trains with checkpoints in FOLDER, going on from those that are there. With a phase, it is killed when it is in it for that time; what it was doing is written to FOLDER/killed.txt.
using System.Diagnostics;
using Lora;
using Lora.Llm;
using Lora.Llm.Training.Checkpoints;
using static TorchSharp.torch;

const int Steps = 40, Interval = 2;
string folder = args[0];
TrainingPhase? phase = args.Length > 1 ? Enum.Parse<TrainingPhase>(args[1]) : null;
int left = args.Length > 2 ? int.Parse(args[2], null) : 0;
set_num_threads(1);

var config = new LlamaConfig
{
    VocabularySize = 29,
    HiddenSize = 12,
    IntermediateSize = 17,
    Layers = 2,
    Heads = 3,
    KeyValueHeads = 1,
    HeadDimension = 4,
    MaxPositions = 32,
    NormEpsilon = 1e-5,
    RopeTheta = 500,
};
manual_seed(5);
using var model = new LlamaModel(config, ScalarType.Float32, CPU);
using LoraModel<LlamaModel> lora = LoraModel.Wrap(model, new LoraConfig { Rank = 3, Alpha = 5, Dropout = 0.2, TargetModules = ModuleSelector.AllLinear });
var options = new TrainingOptions
{
    Steps = Steps,
    BatchSize = 3,
    GradientAccumulation = 2,
    LearningRate = 1e-2,
    WarmupSteps = 3,
    Schedule = ScheduleKind.Cosine,
    UpRatio = 2,
    WeightDecay = 0.05,
    EvaluationInterval = 3,
    Checkpoints = new CheckpointOptions(Path.Combine(folder, "checkpoints")) { Interval = Interval, KeepLast = 2 },
};
using var metrics = new CsvMetrics(Path.Combine(folder, "losses.csv"), timings: false);
var trainer = new LoraTrainer<LlamaModel>(lora, options) { OnPhase = Enter };
trainer.Train(new CausalObjective(), Texts(31, first: 0), Texts(7, first: 50), metrics);
return 0;

void Enter(TrainingPhase entered, int step)
{
    // A step that no save follows is not between the two.
    if (entered != phase || (phase == TrainingPhase.BetweenStepAndSave && step % Interval != 0) || --left > 0) return;
    File.AppendAllText(Path.Combine(folder, "killed.txt"), $"{entered} {step}\n");
    Process.GetCurrentProcess().Kill();
    // The signal may arrive a moment later.
    Thread.Sleep(Timeout.Infinite);
}

static TrainingData<TrainingExample> Texts(int count, int first) => new("texts", [.. Enumerable.Range(first, count).Select(i =>
{
    int[] ids = [.. Enumerable.Range(0, 4 + i * 5 % 7).Select(j => 1 + (i * 7 + j * 3) % 28)];
    return new TrainingExample(ids, ids);
})]);
