using System.Text.Json;
using Lora.Serialization;
using Lora.Tests;
using Lora.Tests.Golden;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Golden;

/// <summary>Runs the cases of one task: the base is a folder of transformers, and there may be a whole training.</summary>
internal abstract class PretrainedRunner<TModel>(GoldenCase golden) : GoldenRunner<TModel>(golden)
    where TModel : nn.Module
{
    protected string Folder => Golden.PathOf(Golden.Json.GetProperty("base").GetProperty("dir").GetString()!);

    protected override TModel Build() => AutoModel.FromPretrained<TModel>(Folder, new PretrainedOptions { Device = TestDevice.Current });

    /// <summary>The loss of a stored batch.</summary>
    protected abstract Tensor Loss(TModel model, IReadOnlyDictionary<string, Tensor> batch);

    /// <summary>The stored batches give PEFT's losses, step for step, and its trained adapter.</summary>
    public void Train()
    {
        if (!Golden.Json.TryGetProperty("training", out JsonElement training)) return;
        Golden.Begin("training");
        using var scope = NewDisposeScope();
        using TModel model = Build();
        using LoraModel<TModel> lora = LoraModel.Load(model, Golden.PathOf("adapter"));
        model.train();
        JsonElement[] batches = [.. training.GetProperty("batches").EnumerateArray()];
        JsonElement tolerance = training.GetProperty("tolerance");
        using var optimizer = optim.AdamW(lora.TrainableParameters(), 1e-2, weight_decay: 0.01);
        foreach ((int step, JsonElement wanted) in training.GetProperty("losses").EnumerateArray().Index())
        {
            using var inner = NewDisposeScope();
            optimizer.zero_grad();
            Tensor loss = Loss(model, batches[step % batches.Length].EnumerateObject().ToDictionary(p => p.Name, p => Golden.Read(p.Value.GetString()!)));
            loss.backward();
            optimizer.step();
            AssertClose(wanted.GetDouble(), loss.item<float>(), tolerance.GetProperty("loss"), $"{Golden.Name}, loss of step {step}");
        }

        using SafetensorsFile trained = SafetensorsFile.Open(Path.Combine(Golden.PathOf(training.GetProperty("final_adapter").GetString()!), "adapter_model.safetensors"));
        Dictionary<string, Parameter> tensors = lora.AdapterTensors(lora.ActiveAdapters.Single()).ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
        Assert.Equal(trained.Entries.Select(entry => entry.Name).Order(StringComparer.Ordinal), tensors.Keys.Order(StringComparer.Ordinal));
        foreach ((string name, Parameter tensor) in tensors) AssertClose(trained.ReadTensor(name), tensor, tolerance.GetProperty("final"), name);
    }

    private static void AssertClose(Tensor expected, Parameter actual, JsonElement tolerance, string name)
    {
        using var scope = NewDisposeScope();
        Tensor there = expected.to(TestDevice.Current);
        Assert.True(
            actual.allclose(there, tolerance.GetProperty("rtol").GetDouble(), tolerance.GetProperty("atol").GetDouble()),
            $"The trained {name} differs by up to {actual.sub(there).abs().max().item<float>():G4}.");
    }

    private static void AssertClose(double expected, double actual, JsonElement tolerance, string what) => Assert.True(
        Math.Abs(expected - actual) <= tolerance.GetProperty("atol").GetDouble() + tolerance.GetProperty("rtol").GetDouble() * Math.Abs(expected),
        $"{what}: {actual}, expected {expected}.");
}
