using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>Keeps the values of largest size, as they are.</summary>
internal sealed class MagnitudePruning : Pruning
{
    internal override Tensor Prune(Tensor tensor, CombineRun run)
    {
        using var scope = NewDisposeScope();
        Tensor flat = tensor.reshape(-1);
        Tensor largest = flat.abs().topk(run.KeptOf(flat.numel()), sorted: false).indexes;
        return zeros_like(flat).index_copy(0, largest, flat.index_select(0, largest)).reshape(tensor.shape).MoveToOuterDisposeScope();
    }
}
