using Lora.Llm.Tests.Data;
using Lora.Llm.Tests.Models;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static Lora.Llm.Tests.Training.TinyTraining;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training.Checkpoints;

/// <summary>Whatever an adapter consists of goes on bit for bit, also where PEFT's file holds it in another form.</summary>
[Collection(Alone.Name)]
public sealed class ResumedAdapterTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly JsonlDataset Data = TinyData.Copying(20), HeldOut = TinyData.Copying(4, first: 40);

    private static readonly Dictionary<string, LoraConfig> Configs = new()
    {
        ["DoRA"] = Config with { UseDora = true },
        ["PiSSA, whose file has twice the rank"] = Config with { Initialization = AdapterInitialization.Pissa },
        ["KaSA, with buffers"] = Config with { Kasa = new KasaOptions() },
        ["a full copy of a module"] = Config with { TargetModules = ModuleSelector.EndsWith("q_proj", "v_proj"), ModulesToSave = ["lm_head"] },
        ["token rows"] = Config with { TrainableTokens = TrainableTokens.Of(3, 5, 8) },
    };

    public static TheoryData<string> Names => [.. Configs.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void It_goes_on(string name)
    {
        using var folder = new TemporaryFolder();
        double[] whole = Run(folder["whole"], Configs[name], stopAfter: null);
        Assert.Empty(Run(folder["parts"], Configs[name], stopAfter: 5));
        Assert.Equal(whole, Run(folder["parts"], Configs[name], stopAfter: null));
    }

    [Fact]
    public void Two_adapters_that_train_together_go_on_and_both_are_in_the_checkpoint()
    {
        using var folder = new TemporaryFolder();
        double[] whole = Run(folder["whole"], Config, stopAfter: null, second: true);
        Assert.Empty(Run(folder["parts"], Config, stopAfter: 5, second: true));
        Assert.Equal(whole, Run(folder["parts"], Config, stopAfter: null, second: true));
        Assert.True(File.Exists(Path.Combine(folder["parts"], "step-6", "second", "adapter_model.safetensors")));
        var error = Assert.Throws<InvalidOperationException>(() => Run(folder["parts"], Config, stopAfter: null));
        Assert.Contains("\n  - the active adapters: default here, default + second in the checkpoint\n", error.Message, StringComparison.Ordinal);
        Assert.Contains("\n  - r of adapter 'second': not there here, 2 in the checkpoint\n", error.Message, StringComparison.Ordinal);
    }

    private static double[] Run(string folder, LoraConfig config, int? stopAfter, bool second = false)
    {
        int threads = get_num_threads();
        set_num_threads(1);
        try
        {
            using LlamaModel model = TinyLlama.Make();
            manual_seed(3);
            using LoraModel<LlamaModel> lora = LoraModel.Wrap(model, config);
            if (second)
            {
                lora.AddAdapter("second", config with { Rank = 2 });
                lora.SetActive("default", "second");
            }
            if (Directory.Exists(folder))
                using (no_grad())
                    foreach (Parameter parameter in lora.TrainableParameters()) parameter.add_(0.125);
            using var source = new CancellationTokenSource();
            var options = new TrainingOptions { Steps = 6, BatchSize = 5, LearningRate = 1e-2, WeightDecay = 0.1, EvaluationInterval = 3, Checkpoints = new CheckpointOptions(folder) { Interval = 4 } };
            var reports = new Reports(step => { if (step.Step == stopAfter) source.Cancel(); });
            var trainer = new LoraTrainer<LlamaModel>(lora, options);
            if (stopAfter is null) trainer.Train(Data, HeldOut, reports, Token);
            else Assert.Throws<OperationCanceledException>(() => trainer.Train(Data, HeldOut, reports, source.Token));
            return stopAfter is null ? [.. reports.TakeLast(2).SelectMany(step => new[] { step.Loss, step.GradientNorm, step.EvaluationLoss ?? 0 }), .. Numbers(lora)] : [];
        }
        finally
        {
            set_num_threads(threads);
        }
    }
}
