using System.Text.Json.Nodes;
using Lora.Serialization;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>A Hugging Face folder of any model: its parameters and buffers beside a configuration, to be broken by tests.</summary>
internal sealed class PretrainedFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>Writes a folder whose tensors, and whose configuration, the test may change.</summary>
    public PretrainedFolder(nn.Module model, JsonObject config, Action<Dictionary<string, Tensor>>? change = null)
    {
        File.WriteAllText(_folder["config.json"], config.ToJsonString());
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors = model.state_dict().ToDictionary(pair => pair.Key, pair => pair.Value.detach());
        change?.Invoke(tensors);
        SafetensorsWriter.Save(Weights, tensors);
    }

    public string Path => _folder.Path;

    public string Config => _folder["config.json"];

    public string Weights => _folder["model.safetensors"];

    public string this[string name] => _folder[name];

    public void Dispose() => _folder.Dispose();

    /// <summary>Draws every parameter and every running statistic of a model, those that must be positive around one.</summary>
    public static T Filled<T>(T model, long seed = 7, double spread = 0.25)
        where T : nn.Module
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)seed);
        foreach ((string name, Tensor tensor) in model.state_dict())
        {
            if (!tensor.is_floating_point()) tensor.fill_(5);
            else if (name.EndsWith("running_var", StringComparison.Ordinal)) tensor.copy_(rand(tensor.shape, generator: generator).add(0.5));
            else tensor.copy_(randn(tensor.shape, generator: generator).mul(spread).add(tensor.dim() == 1 && name.Contains("norm", StringComparison.Ordinal) && name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0));
        }
        model.eval();
        return model;
    }
}
