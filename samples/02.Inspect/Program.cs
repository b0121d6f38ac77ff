// Lesson 2: what an adapter has done, layer by layer, as a table and as a heat map.
using System.Globalization;
using Inspect;
using Lora;
using Lora.Llm;
using Samples;
using Spectre.Console;
using static TorchSharp.torch;

return Lesson.Run(args, InspectSettings.Usage, InspectSettings.Parse, (settings, _) => Run(settings));

static void Run(InspectSettings settings)
{
    using CausalLanguageModel model = AutoModel.FromPretrained(settings.Model);
    using LoraModel<CausalLanguageModel> lora = settings.Adapter is string folder ? LoraModel.Load(model, folder) : Train(model, settings);
    AdapterInspection inspection = lora.Inspect(LoraModel.DefaultAdapter);

    var table = new Table().AddColumn(new TableColumn("layer").NoWrap());
    foreach (string column in (string[])["‖ΔW‖", "‖W‖", "ratio", "spectral", "eff. rank"]) table.AddColumn(new TableColumn(column).RightAligned());
    foreach (LayerInspection layer in inspection.MostMoved(settings.Rows))
        table.AddRow(Markup.Escape(layer.Path), Text(layer.DeltaNorm), Text(layer.WeightNorm), Text(layer.RelativeNorm), Text(layer.SpectralNorm), Text(layer.EffectiveRank));
    AnsiConsole.Write(table);
    if (inspection.Layers.Count > settings.Rows) Console.WriteLine($"These {settings.Rows} of {inspection.Layers.Count} weights moved most.");

    Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(settings.Out))!);
    inspection.SaveSvg(settings.Out, settings.Measure);
    Console.WriteLine($"Wrote the heat map of all of them to {settings.Out}");
}

// A few steps are enough for something to look at.
static LoraModel<CausalLanguageModel> Train(CausalLanguageModel model, InspectSettings settings)
{
    HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(settings.Model);
    JsonlDataset data = JsonlDataset.Load(settings.Data, tokenizer, new JsonlOptions { EndTokenId = tokenizer.EosId });
    var training = new TrainingOptions { Steps = settings.Steps, BatchSize = 16, LearningRate = 5e-3, Seed = 42 };
    manual_seed(training.Seed);
    LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 8, alpha: 16));
    TrainingResult result = new LoraTrainer<CausalLanguageModel>(lora, training).Train(data);
    Console.WriteLine(FormattableString.Invariant($"Trained an adapter on {result.Tokens:N0} tokens in {result.Elapsed.TotalSeconds:F0} s."));
    return lora;
}

static string Text(double value) => value.ToString("G3", CultureInfo.InvariantCulture);
