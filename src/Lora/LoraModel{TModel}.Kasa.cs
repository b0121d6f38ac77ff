using Lora.Layers;
using Lora.Variants;
using static TorchSharp.torch;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>
    /// Computes KaSA's regularisation over all layers, to be added to the loss in training: β·Σ d² + γ·(‖BᵀB − I‖ + ‖AAᵀ − I‖) with the weights of <see cref="LoraConfig.Kasa"/> and
    /// Frobenius norms (Wang et al. 2024, arXiv:2412.06071, equations 9 to 11).
    /// </summary>
    /// <param name="names">The adapters; the active ones where none is named. Those without KaSA are passed over.</param>
    /// <returns>A new scalar, in float32 at least, which belongs to the current dispose scope.</returns>
    /// <exception cref="ArgumentException">There is no adapter of a name.</exception>
    /// <exception cref="InvalidOperationException">None of the adapters has KaSA.</exception>
    public Tensor KasaLoss(params IEnumerable<string> names)
    {
        ThrowIfFinished();
        string[] chosen = [.. names];
        CheckKnown(chosen);
        if (chosen.Length == 0) chosen = [.. _active];
        using var scope = NewDisposeScope();
        Tensor? loss = null;
        foreach (LoraAdapter adapter in LoraLayers.SelectMany(layer => layer.Adapters).Where(adapter => chosen.Contains(adapter.AdapterName)))
        {
            if (adapter.Variant is not KasaVariant variant) continue;
            Tensor own = variant.Loss(adapter, _adapters[adapter.AdapterName].Config.Kasa!);
            loss = loss is null ? own : loss.add(own.to(loss.device));
        }
        return loss?.MoveToOuterDisposeScope()
            ?? throw new InvalidOperationException($"None of the adapters ({(chosen.Length == 0 ? "none is active" : string.Join(", ", chosen.Select(name => $"'{name}'")))}) has KaSA (kasa_config): there is nothing to regularise.");
    }
}
