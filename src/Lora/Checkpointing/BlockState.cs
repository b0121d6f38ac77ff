using Lora.Layers;
using Lora.Mixing;
using static TorchSharp.torch;

namespace Lora.Checkpointing;

/// <summary>What decides how a block computes, beside its tensors: the mode of its modules, and which adapters work on its layers.</summary>
internal sealed class BlockState
{
    private readonly bool[] _training;
    private readonly (LoraAdapter[] Adapters, LayerMix? Mix)[] _layers;

    private BlockState(IReadOnlyList<nn.Module> modules)
    {
        _training = [.. modules.Select(module => module.training)];
        _layers = [.. modules.OfType<ILoraLayer>().Select(layer => (layer.Adapters.Contributing, layer.Adapters.Mix))];
    }

    internal static BlockState Of(nn.Module block) => new([.. block.modules()]);

    /// <summary>How a later state differs, as a clause; null where it does not.</summary>
    internal string? ChangeUntil(BlockState later)
    {
        if (_training.Length != later._training.Length || _layers.Length != later._layers.Length) return "its modules have changed";
        if (!_training.SequenceEqual(later._training)) return "its mode of training has changed";
        foreach (((LoraAdapter[] Adapters, LayerMix? Mix) then, (LoraAdapter[] Adapters, LayerMix? Mix) now) in _layers.Zip(later._layers))
        {
            if (!ReferenceEquals(then.Mix, now.Mix)) return "the adapters of its samples have changed";
            if (!then.Adapters.SequenceEqual(now.Adapters)) return $"its adapters have changed from {Names(then.Adapters)} to {Names(now.Adapters)}";
        }
        return null;
    }

    private static string Names(LoraAdapter[] adapters) => adapters.Length == 0 ? "none" : string.Join(" + ", adapters.Select(adapter => $"'{adapter.AdapterName}'"));
}
