using Lora.Llm.Tests.Models;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training;

/// <summary>A small model with an adapter on every linear layer.</summary>
internal static class TinyTraining
{
    public static LoraConfig Config { get; } = new() { Rank = 3, Alpha = 5, TargetModules = ModuleSelector.AllLinear };

    /// <summary>Wraps the model; B is drawn at random where <paramref name="randomB"/> is set, else zero.</summary>
    public static LoraModel<LlamaModel> Wrap(LlamaModel model, LoraConfig? config = null, bool randomB = true)
    {
        LoraModel<LlamaModel> lora = LoraModel.Wrap(model, config ?? Config);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        // Drawn again: the start comes from torch's global numbers, which tests that run at the same time draw from too.
        using var generator = new Generator(21);
        foreach (AdapterLayer layer in lora.Layers)
        {
            Tensor a = layer.Layer.Adapter.A, b = layer.Layer.Adapter.B;
            a.copy_(rand(a.shape, generator: generator).mul(2).sub(1).div(Math.Sqrt(a.shape[1])));
            if (randomB) b.copy_(randn(b.shape, generator: generator).mul(0.1));
        }
        return lora;
    }

    /// <summary>All numbers of the adapter.</summary>
    public static double[] Numbers(LoraModel<LlamaModel> lora) => [.. lora.TrainableParameters().SelectMany(TinyLlama.Values)];

    /// <summary>All gradients of the adapter.</summary>
    public static double[] Gradients(LoraModel<LlamaModel> lora)
    {
        using var scope = NewDisposeScope();
        return [.. lora.TrainableParameters().SelectMany(parameter => TinyLlama.Values(parameter.grad!))];
    }
}

/// <summary>Handles each report at once, on the caller's thread.</summary>
internal sealed class Reports(Action<TrainingStep>? then = null) : List<TrainingStep>, IProgress<TrainingStep>
{
    public void Report(TrainingStep value)
    {
        Add(value);
        then?.Invoke(value);
    }
}
