using System.Text.Json;
using Lora.Serialization;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training;

/// <summary>From PEFT's initial adapter, on its stored batches, our losses are PEFT's at every step; and its trained adapter has its held-out loss.</summary>
public sealed class PeftTrajectoryTests(ITestOutputHelper output)
{
    [Fact]
    public void Forty_steps_on_a_pretrained_model_follow_PEFT()
    {
        string model = RepositoryFolder.SharedData("stories260k") ?? "", run = RepositoryFolder.SharedData("e2e-peft") ?? "";
        if (model.Length == 0 || run.Length == 0) Assert.Skip("There is no shared/data/stories260k or shared/data/e2e-peft beside or above the checkout.");
        using JsonDocument result = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(run, "result.json")));
        double[] losses = [.. result.RootElement.GetProperty("losses").EnumerateArray().Select(loss => loss.GetDouble())];
        using SafetensorsFile batches = SafetensorsFile.Open(Path.Combine(run, "batches.safetensors"));
        int steps = batches.Entries.Count(entry => entry.Name.EndsWith(".labels", StringComparison.Ordinal));

        using LlamaModel llama = LlamaModel.FromPretrained(model, new PretrainedOptions { Device = TestDevice.Current });
        using LoraModel<LlamaModel> lora = LoraModel.Load(llama, Path.Combine(run, "init"));
        llama.train();
        using var optimizer = optim.AdamW(
            lora.TrainableParameters(), result.RootElement.GetProperty("lr").GetDouble(), weight_decay: result.RootElement.GetProperty("weight_decay").GetDouble());
        double worst = 0;
        for (int step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            Tensor logits = llama.call(new CausalInput(Read("input_ids")) { AttentionMask = Read("attention_mask") });
            Tensor loss = CausalLoss.Compute(logits, Read("labels"));
            loss.backward();
            optimizer.step();
            double difference = Math.Abs(loss.item<float>() - losses[step]) / losses[step];
            worst = Math.Max(worst, difference);
            Assert.True(difference < 1e-5, $"Step {step}: loss {loss.item<float>()}, PEFT's is {losses[step]}.");

            Tensor Read(string name) => batches.ReadTensor($"{step:D3}.{name}", TestDevice.Current);
        }
        Assert.NotEqual(0, steps);
        output.WriteLine($"{steps} steps, worst relative difference {worst:E1}");
    }

    [Fact]
    public void The_held_out_loss_of_PEFTs_adapters_is_PEFTs()
    {
        string model = RepositoryFolder.SharedData("stories260k") ?? "", run = RepositoryFolder.SharedData("e2e-peft") ?? "", rows = RepositoryFolder.SharedData("e2e") ?? "";
        if (model.Length == 0 || run.Length == 0 || rows.Length == 0) Assert.Skip("There is no shared/data/stories260k, e2e-peft or e2e beside or above the checkout.");
        using JsonDocument result = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(run, "result.json")));
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(model);
        var options = new JsonlOptions { MaxLength = result.RootElement.GetProperty("maxlen").GetInt32(), EndTokenId = tokenizer.EosId, MaxExamples = 256 };
        JsonlDataset heldOut = JsonlDataset.Load(Path.Combine(rows, "test.jsonl"), tokenizer, options);

        Assert.Equal(result.RootElement.GetProperty("held_out_before").GetDouble(), Loss("init"), 1e-4);
        Assert.Equal(result.RootElement.GetProperty("held_out_after").GetDouble(), Loss("final"), 1e-4);

        double Loss(string adapter)
        {
            using LlamaModel llama = LlamaModel.FromPretrained(model, new PretrainedOptions { Device = TestDevice.Current });
            using LoraModel<LlamaModel> lora = LoraModel.Load(llama, Path.Combine(run, adapter));
            return new LoraTrainer<LlamaModel>(lora).Evaluate(heldOut, TestContext.Current.CancellationToken);
        }
    }
}
