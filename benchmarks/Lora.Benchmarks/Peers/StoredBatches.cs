using System.Diagnostics;
using System.Text.Json;
using Lora.Llm;
using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>Training on PEFT's stored batches from its initial adapter, as the peers' <c>check</c> does: the time of a batch, and how far the losses are from PEFT's.</summary>
internal static class StoredBatches
{
    /// <param name="data">The folder with <c>stories260k</c> and <c>e2e-peft</c>.</param>
    /// <returns>The median milliseconds of a batch, and the worst relative difference of a loss.</returns>
    public static (double Milliseconds, double Worst) Run(string data)
    {
        string run = Path.Combine(data, "e2e-peft");
        using JsonDocument result = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(run, "result.json")));
        double[] losses = [.. result.RootElement.GetProperty("losses").EnumerateArray().Select(loss => loss.GetDouble())];
        using SafetensorsFile batches = SafetensorsFile.Open(Path.Combine(run, "batches.safetensors"));
        int steps = batches.Entries.Count(entry => entry.Name.EndsWith(".labels", StringComparison.Ordinal));

        using LlamaModel llama = LlamaModel.FromPretrained(Path.Combine(data, "stories260k"), new PretrainedOptions { Device = CPU });
        using LoraModel<LlamaModel> lora = LoraModel.Load(llama, Path.Combine(run, "init"));
        llama.train();
        // The optimizer of the library's own trainer.
        using var optimizer = optim.AdamW(
            lora.TrainableParameters(), result.RootElement.GetProperty("lr").GetDouble(), weight_decay: result.RootElement.GetProperty("weight_decay").GetDouble());
        double worst = 0;
        var times = new double[steps];
        for (int step = 0; step < steps; step++)
        {
            using DisposeScope scope = NewDisposeScope();
            CausalInput input = new(Read("input_ids")) { AttentionMask = Read("attention_mask") };
            Tensor labels = Read("labels");
            long start = Stopwatch.GetTimestamp();
            optimizer.zero_grad();
            Tensor loss = llama.Loss(input, labels);
            loss.backward();
            optimizer.step();
            times[step] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            worst = Math.Max(worst, Math.Abs(loss.ToDouble() - losses[step]) / losses[step]);

            Tensor Read(string name) => batches.ReadTensor($"{step:D3}.{name}", CPU);
        }
        Array.Sort(times);
        return (times[steps / 2], worst);
    }
}
