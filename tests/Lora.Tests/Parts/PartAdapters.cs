using Lora.Tests.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Parts;

/// <summary>Adapters with trained biases, full copies of modules or rows of embeddings, filled so that each of these changes something.</summary>
internal static class PartAdapters
{
    public static LoraConfig Config { get; } = new() { Rank = 2, Alpha = 5, TargetModules = ModuleSelector.EndsWith("q_proj") };

    public static LoraModel<TinyText> Wrap(TinyText model, LoraConfig config)
    {
        LoraModel<TinyText> lora = LoraModel.Wrap(model, config);
        Fill(lora, LoraModel.DefaultAdapter, 100);
        return lora;
    }

    public static void Fill(LoraModel<TinyText> lora, string name, int seed)
    {
        using var noGrad = no_grad();
        foreach ((_, Parameter parameter) in lora.AdapterTensors(name)) Noise.Fill(parameter, seed++, 0.7);
    }

    public static Tensor Output(TinyText model)
    {
        using var noGrad = no_grad();
        using Tensor tokens = TinyText.Tokens();
        return model.call(tokens);
    }

    /// <summary>Every gradient of the adapter by its key, after a loss that no element leaves out.</summary>
    public static Dictionary<string, byte[]> Gradients(LoraModel<TinyText> lora) =>
        lora.AdapterTensors(LoraModel.DefaultAdapter).ToDictionary(tensor => tensor.Key, tensor => Adapted.Bits(tensor.Value.grad!));
}
