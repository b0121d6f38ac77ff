using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>
/// What adapters have beside A and B. The bias of B adds s·b to the output whatever the input is, so it is combined as ΔW is, with the factors tᵢ. Anything else
/// has a meaning of its own and is refused by its name.
/// </summary>
internal static class FurtherTensors
{
    private const string Bias = "lora_B.bias";

    /// <summary>Lists what cannot be combined on a layer.</summary>
    internal static IEnumerable<string> Problems(string path, IReadOnlyList<LoraAdapter> adapters, CombineOptions options)
    {
        foreach (LoraAdapter adapter in adapters)
        {
            foreach ((string key, _) in Of(adapter))
            {
                if (key != Bias) yield return $"'{adapter.AdapterName}' has {key} on '{path}', which cannot be combined";
                else if (options.PeftCompatible) yield return $"'{adapter.AdapterName}' has {key} on '{path}', which PEFT leaves out: do without PeftCompatible";
            }
        }
        foreach (string key in adapters.SelectMany(Of).Select(tensor => tensor.Key).Distinct().Where(key => key == Bias))
        {
            if (adapters.FirstOrDefault(adapter => Of(adapter).All(tensor => tensor.Key != key)) is LoraAdapter without)
                yield return $"'{without.AdapterName}' has no {key} on '{path}', which others have: combine adapters of one kind";
        }
    }

    /// <summary>The new bias of each name. The tensors belong to the current dispose scope.</summary>
    internal static IReadOnlyDictionary<string, Tensor> Combine(IReadOnlyList<LayerSource> sources, CombineMethod method, CombineRun run) =>
        Of(sources[0].Adapter).ToDictionary(
            tensor => tensor.Key,
            tensor => method.Blend.Of(sources.Select(source => Of(source.Adapter).First(other => other.Key == tensor.Key).Value.detach().to(source.Factors.A.dtype)), [.. sources.Select(source => source.Factor)], run));

    /// <summary>Sets the biases of a new adapter.</summary>
    internal static void Assign(LoraAdapter adapter, IReadOnlyDictionary<string, Tensor> values)
    {
        using var noGrad = no_grad();
        foreach ((string key, Parameter parameter) in Of(adapter)) parameter.copy_(values[key]);
    }

    private static IEnumerable<KeyValuePair<string, Parameter>> Of(LoraAdapter adapter) =>
        adapter.FileTensors.Where(tensor => tensor.Value.Handle != adapter.A.Handle && tensor.Value.Handle != adapter.B.Handle);
}
