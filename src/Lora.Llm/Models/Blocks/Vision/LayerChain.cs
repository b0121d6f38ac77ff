using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Layers that take and give one tensor, one after the other, under a name of the caller's choice.</summary>
internal sealed class LayerChain : nn.Module<Tensor, Tensor>
{
    internal LayerChain(string name, IEnumerable<nn.Module<Tensor, Tensor>> layers)
        : base(nameof(LayerChain)) => register_module(name, new ModuleList<nn.Module<Tensor, Tensor>>([.. layers]));

    // No field holds the list: it would be registered a second time, under the field's name.
    public override Tensor forward(Tensor x) => Run((ModuleList<nn.Module<Tensor, Tensor>>)children().Single(), x);

    /// <summary>Runs layers one after the other; each result lives until the next.</summary>
    internal static Tensor Run(IEnumerable<nn.Module<Tensor, Tensor>> layers, Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor current = x.alias();
        foreach (nn.Module<Tensor, Tensor> layer in layers)
        {
            Tensor next = layer.call(current);
            current.Dispose();
            current = next;
        }
        return current.MoveToOuterDisposeScope();
    }
}
