using System.Diagnostics;
using System.Globalization;
using Lora.Llm;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Benchmarks;

/// <summary>What a training step allocates at the most and how long it takes: with blocks that run twice, and with the loss in chunks.</summary>
internal static class CheckpointingTable
{
    private const int Batch = 2, Length = 256, Rounds = 5;

    private static readonly (string Name, GradientCheckpointing Choice)[] _choices =
        [("none", GradientCheckpointing.None), ("every 2nd", GradientCheckpointing.OneIn(2)), ("every", GradientCheckpointing.EveryBlock)];

    public static void Run(TextWriter output)
    {
        set_num_threads(1);
        output.WriteLine("| Layers | Blocks twice | Peak of a step, MB | Ratio | Time of a step, ms | Ratio |");
        output.WriteLine("|---:|---|---:|---:|---:|---:|");
        foreach (int layers in new[] { 2, 4, 8, 16 }) Depth(layers, output);
        output.WriteLine();
        output.WriteLine("| Tokens × vocabulary | Loss | Peak of a step, MB | Ratio | Time of a step, ms | Ratio |");
        output.WriteLine("|---:|---|---:|---:|---:|---:|");
        Loss(output);
    }

    private static void Depth(int layers, TextWriter output)
    {
        using LlamaModel model = Make(layers, 512);
        using LoraModel<LlamaModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 8, alpha: 16));
        model.train();
        using Tensor ids = randint(0, 512, [Batch, Length], dtype: ScalarType.Int64);
        Rows(output, $"{layers}", [.. _choices.Select(choice => (choice.Name, (Action)(() =>
        {
            model.GradientCheckpointing = choice.Choice;
            Step(lora, () => model.Loss(ids, ids));
        })))]);
    }

    private static void Loss(TextWriter output)
    {
        const int Vocabulary = 32000, Tokens = Batch * Length;
        using LlamaModel model = Make(2, Vocabulary);
        using LoraModel<LlamaModel> lora = LoraModel.Wrap(model, new LoraConfig { TargetModules = ModuleSelector.EndsWith("q_proj", "v_proj") });
        model.train();
        using Tensor ids = randint(0, Vocabulary, [Batch, Length], dtype: ScalarType.Int64);
        Rows(output, $"{Tokens} × {Vocabulary}",
        [
            ("all logits", () => Step(lora, () =>
            {
                using Tensor logits = model.call(ids);
                return CausalLoss.Compute(logits, ids);
            })),
            ("in chunks", () => Step(lora, () => model.Loss(ids, ids))),
        ]);
    }

    // In turns, so that a machine that slows down slows all of them.
    private static void Rows(TextWriter output, string size, (string Name, Action Step)[] ways)
    {
        long[] peaks = [.. ways.Select(way => Allocations.Peak(way.Step))];
        double[][] times = [.. ways.Select(_ => new double[Rounds])];
        for (int round = 0; round < Rounds; round++)
        {
            for (int way = 0; way < ways.Length; way++)
            {
                long start = Stopwatch.GetTimestamp();
                ways[way].Step();
                times[way][round] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
        }
        for (int way = 0; way < ways.Length; way++)
        {
            // The least of some rounds: what else runs on a machine makes a step longer only.
            double least = times[way].Min();
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {size} | {ways[way].Name} | {peaks[way] / 1e6:F1} | {(double)peaks[way] / peaks[0]:F2} | {least:F0} | {least / times[0].Min():F2} |"));
        }
    }

    private static void Step(LoraModel<LlamaModel> lora, Func<Tensor> compute)
    {
        using var scope = NewDisposeScope();
        foreach (var parameter in lora.TrainableParameters()) parameter.grad = null;
        compute().backward();
    }

    private static LlamaModel Make(int layers, int vocabulary)
    {
        var config = new LlamaConfig
        {
            VocabularySize = vocabulary,
            HiddenSize = 256,
            IntermediateSize = 688,
            Layers = layers,
            Heads = 4,
            KeyValueHeads = 4,
            HeadDimension = 64,
        };
        var model = new LlamaModel(config, ScalarType.Float32, CPU);
        using var noGrad = no_grad();
        foreach (var parameter in model.parameters()) parameter.normal_(0, 0.05);
        return model;
    }
}
