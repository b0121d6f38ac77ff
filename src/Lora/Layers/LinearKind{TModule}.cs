using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>Adapts modules of one class that compute W·x + b from two parameters.</summary>
/// <example><c>new WrapOptions { LayerKinds = [new LinearKind&lt;MyLinear&gt;(m =&gt; m.Weight, m =&gt; m.Bias)] }</c></example>
/// <typeparam name="TModule">The class.</typeparam>
/// <param name="weight">Gives the weight, shape <c>[out, in]</c>, or <c>[in, out]</c> where it is stored transposed.</param>
/// <param name="bias">Gives the bias, shape <c>[out]</c>, or null.</param>
/// <param name="isTransposed">Whether the weight is stored as <c>[in, out]</c>.</param>
public sealed class LinearKind<TModule>(Func<TModule, Parameter> weight, Func<TModule, Parameter?> bias, bool isTransposed = false) : LoraLayerKind
    where TModule : nn.Module<Tensor, Tensor>
{
    /// <inheritdoc/>
    public override string ModuleName => typeof(TModule).Name;

    /// <inheritdoc/>
    public override Type LayerType => typeof(LoraLinear);

    /// <inheritdoc/>
    public override bool IsLinear => true;

    /// <inheritdoc/>
    public override bool Supports(nn.Module module) => module is TModule;

    internal override (long Out, long In)? MatrixOf(nn.Module module) =>
        weight((TModule)module).shape is [var rows, var columns] ? (isTransposed ? (columns, rows) : (rows, columns)) : null;

    /// <inheritdoc/>
    public override ILoraLayer Create(nn.Module module, bool ownsBase)
    {
        var typed = (TModule)module;
        return new LoraLinear(typed, new LinearView(() => weight(typed), () => bias(typed), isTransposed), ownsBase);
    }
}
