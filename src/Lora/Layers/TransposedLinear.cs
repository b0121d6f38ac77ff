using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A linear layer that stores its weight as <c>[in, out]</c>: y = x·W + b. GPT-2 and its kin are saved so; Hugging Face calls it Conv1D.
/// </summary>
public sealed class TransposedLinear : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")]
    private Parameter _weight;

    [ComponentName(Name = "bias")]
    private Parameter? _bias;

    /// <summary>Creates a layer with weights from N(0, 0.02²) and a zero bias, as the original does.</summary>
    /// <param name="inFeatures">The width of the input.</param>
    /// <param name="outFeatures">The width of the output.</param>
    /// <param name="hasBias">Whether a bias is added.</param>
    /// <param name="device">Where the parameters live; null for the default device.</param>
    /// <param name="dataType">Their type; null for the default type.</param>
    /// <exception cref="ArgumentOutOfRangeException">A width is not positive.</exception>
    public TransposedLinear(long inFeatures, long outFeatures, bool hasBias = true, Device? device = null, ScalarType? dataType = null)
        : base(nameof(TransposedLinear))
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(inFeatures);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(outFeatures);
        InFeatures = inFeatures;
        OutFeatures = outFeatures;
        using (no_grad())
        {
            _weight = new Parameter(nn.init.normal_(empty([inFeatures, outFeatures], dtype: dataType, device: device), 0, 0.02));
            _bias = hasBias ? new Parameter(zeros([outFeatures], dtype: dataType, device: device)) : null;
        }
        _weight.DetachFromDisposeScope();
        _bias?.DetachFromDisposeScope();
        RegisterComponents();
    }

    /// <summary>Creates a layer over parameters that are there already.</summary>
    /// <param name="weight">Shape <c>[in, out]</c>.</param>
    /// <param name="bias">Shape <c>[out]</c>, or null.</param>
    internal TransposedLinear(Parameter weight, Parameter? bias)
        : base(nameof(TransposedLinear))
    {
        InFeatures = weight.shape[0];
        OutFeatures = weight.shape[1];
        _weight = weight;
        _bias = bias;
        _weight.DetachFromDisposeScope();
        _bias?.DetachFromDisposeScope();
        RegisterComponents();
    }

    /// <summary>The width of the input.</summary>
    public long InFeatures { get; }

    /// <summary>The width of the output.</summary>
    public long OutFeatures { get; }

    /// <summary>The weight, shape <c>[in, out]</c>.</summary>
    public Parameter Weight => _weight;

    /// <summary>The bias, shape <c>[out]</c>, or null.</summary>
    public Parameter? Bias => _bias;

    /// <summary>Computes x·W + b.</summary>
    /// <param name="input">Shape <c>[…, in]</c>.</param>
    /// <returns>Shape <c>[…, out]</c>.</returns>
    public override Tensor forward(Tensor input)
    {
        using Tensor transposed = _weight.t();
        return nn.functional.linear(input, transposed, _bias);
    }
}
