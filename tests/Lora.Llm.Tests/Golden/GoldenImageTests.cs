using System.Text.Json;
using Lora.Tests;
using Lora.Tests.Golden;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Golden;

/// <summary>Image classifiers saved by transformers with adapters trained by PEFT: logits, gradients and whole trainings are theirs.</summary>
public sealed class GoldenImageTests(ITestOutputHelper output)
{
    public static IEnumerable<TheoryDataRow<string>> Cases => GoldenFolder.Cases('E')
        .Where(name => GoldenFolder.BaseClass(name)?.EndsWith("ForImageClassification", StringComparison.Ordinal) == true).Select(name => new TheoryDataRow<string>(name));

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    [Trait("Golden", "E")]
    public void Models_agree(string name)
    {
        using var golden = new GoldenCase(name);
        var runner = new Runner(golden);
        runner.RunAll();
        runner.Train();
        runner.CompareClassicNames();
        Assert.NotEqual(0, golden.Compared);
        output.WriteLine($"{golden.Compared} tensors compared");
    }

    private sealed class Runner(GoldenCase golden) : PretrainedRunner<ImageClassifier>(golden)
    {
        protected override Tensor Forward(ImageClassifier model, IReadOnlyDictionary<string, Tensor> inputs) => model.call(inputs["pixel_values"]);

        protected override Tensor Loss(ImageClassifier model, IReadOnlyDictionary<string, Tensor> batch) =>
            ClassificationLoss.Compute(Forward(model, batch), batch["labels"], model.ProblemType);

        /// <summary>The first adapter under the names of transformers 4: a model with those paths takes it, one with the new paths refuses it.</summary>
        public void CompareClassicNames()
        {
            string folder = Golden.PathOf("adapter_v4_names");
            if (!Directory.Exists(folder)) return;
            Golden.Begin("classic_names");
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            using (ImageClassifier modern = Build()) Assert.Throws<AdapterFormatException>(() => LoraModel.Load(modern, folder));
            using ViTModel model = ViTModel.FromPretrained(Folder, new PretrainedOptions { Device = TestDevice.Current }, classicNames: true);
            foreach (JsonElement run in Golden.Runs.Where(run => run.GetProperty("mode").GetString() == "base")) Output(run, model);
            using LoraModel<ViTModel> lora = LoraModel.Load(model, folder);
            foreach (JsonElement run in Golden.Runs.Where(run => run.GetProperty("mode").GetString() == "adapter" && run.GetProperty("load")[0].GetProperty("dir").GetString() == "adapter")) Output(run, model);
        }

        private void Output(JsonElement run, ViTModel model) =>
            Golden.Compare(run.GetProperty("output").GetString()!, model.call(Golden.Read(run.GetProperty("inputs").GetProperty("pixel_values").GetString()!)), Tolerance("output"));
    }
}
