using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>Adapts chosen parts of linear layers that compute several projections at once, such as query, key and value.</summary>
/// <remarks>
/// The file of such an adapter holds the factors in loralib's layout under PEFT's names, <c>lora_A.weight</c> as <c>[n·r, in]</c> and <c>lora_B.weight</c> as
/// <c>[w, r]</c>; PEFT, which has no such layers, refuses it for its shapes. <see cref="AdapterFormat.PeftExpanded"/> writes one that it reads.
/// </remarks>
/// <example><c>new WrapOptions { LayerKinds = [new FusedLinearKind(ModuleSelector.EndsWith("c_attn"), [true, false, true])] }</c></example>
/// <param name="layers">Which layers these are. They are adapted where the configuration's targets name them.</param>
/// <param name="enabledParts">For each part of the output in its order, whether it gets an adapter.</param>
/// <param name="partWidths">The widths of the parts; null where they are equal.</param>
public sealed class FusedLinearKind(ModuleSelector layers, IReadOnlyList<bool> enabledParts, IReadOnlyList<long>? partWidths = null) : LoraLayerKind
{
    /// <inheritdoc/>
    public override string ModuleName => nameof(Linear);

    /// <inheritdoc/>
    public override Type LayerType => typeof(LoraFusedLinear);

    /// <inheritdoc/>
    public override bool IsLinear => true;

    /// <inheritdoc/>
    public override bool Supports(nn.Module module) => LinearView.Of(module) is not null;

    /// <inheritdoc/>
    public override bool Supports(string path, nn.Module module) => layers.Matches(path) && Supports(module);

    /// <inheritdoc/>
    public override IEnumerable<string> Problems(nn.Module module, AdapterSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (settings.HasBias) yield return "is a fused layer, whose adapter cannot have a bias (lora_bias): leave it out of the targets, or adapt it under a configuration of its own";
        if (FusedParts.Problem(LinearView.Of(module)!.OutFeatures, enabledParts, partWidths) is string problem) yield return problem;
    }

    /// <inheritdoc/>
    public override ILoraLayer Create(nn.Module module, bool ownsBase) =>
        new LoraFusedLinear((nn.Module<Tensor, Tensor>)module, LinearView.Of(module)!, enabledParts, partWidths, ownsBase);
}
