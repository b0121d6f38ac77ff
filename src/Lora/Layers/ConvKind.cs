using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>Adapts convolutions of one class.</summary>
/// <typeparam name="TConvolution">The class, transposed or not.</typeparam>
internal sealed class ConvKind<TConvolution> : LoraLayerKind
    where TConvolution : Convolution
{
    public override string ModuleName => typeof(TConvolution).Name;

    public override Type LayerType => IsTransposed ? typeof(LoraConvTranspose) : typeof(LoraConv);

    private static bool IsTransposed => typeof(TConvolution).IsAssignableTo(typeof(ConvolutionTranspose));

    public override bool Supports(nn.Module module) => module is TConvolution;

    public override IEnumerable<string> Problems(nn.Module module, AdapterSettings settings)
    {
        var convolution = (TConvolution)module;
        if (ConvolutionGroups.Problem(convolution, convolution.groups, settings) is string problem) yield return problem;
    }

    public override ILoraLayer Create(nn.Module module, bool ownsBase) =>
        IsTransposed ? new LoraConvTranspose((ConvolutionTranspose)module, ownsBase) : new LoraConv((Convolution)module, ownsBase);
}
