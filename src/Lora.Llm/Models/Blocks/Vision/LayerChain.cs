using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Layers that take and give one tensor, one after the other, under a name of the caller's choice.</summary>
internal sealed class LayerChain : nn.Module<Tensor, Tensor>
{
    private readonly ModuleList<nn.Module<Tensor, Tensor>> _layers;

    internal LayerChain(string name, IEnumerable<nn.Module<Tensor, Tensor>> layers)
        : base(nameof(LayerChain))
    {
        _layers = new ModuleList<nn.Module<Tensor, Tensor>>([.. layers]);
        register_module(name, _layers);
    }

    public override Tensor forward(Tensor x) => Run(_layers, x);

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
