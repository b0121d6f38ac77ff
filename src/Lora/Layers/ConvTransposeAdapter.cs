using Lora.Combining;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// The adapter of a transposed convolution: A is <c>[in, r / groups, k…]</c>, a transposed convolution to r channels with the base layer's settings; B is
/// <c>[out, r / groups, 1…]</c> and mixes what A gives. Both have the base layer's groups.
/// </summary>
/// <remarks>
/// PEFT does not adapt such layers. The factors are those of a convolution, with A in the layout of the base layer's weight, and are saved under the same names,
/// <c>lora_A.weight</c> and <c>lora_B.weight</c>. A is drawn from U(−1/√n, 1/√n) with n = (in / groups)·k…, and B and the bias are zero.
/// </remarks>
public sealed class ConvTransposeAdapter : LoraAdapter
{
    private readonly ConvolutionGeometry _base;
    private readonly long _groups;

    internal ConvTransposeAdapter(
        string adapterName, long inChannels, long outChannels, long groups, ConvolutionGeometry geometry, AdapterSettings settings, ScalarType dataType, Device device)
        : base(
            nameof(ConvTransposeAdapter), adapterName, settings, Down(inChannels, groups, geometry, settings, dataType, device),
            zeros([outChannels, settings.Rank / groups, .. geometry.Kernel.Select(_ => 1L)], dtype: dataType, device: device),
            settings.HasBias ? zeros([outChannels], dtype: dataType, device: device) : null)
    {
        _base = geometry;
        _groups = groups;
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => ModuleTensors;

    /// <inheritdoc/>
    public override Tensor Term(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor narrow = _base.SlideTransposed(Prepared(input), A, _groups).mul(Scale);
        return _base.Mix(narrow, B, ScaledBias, _groups).MoveToOuterDisposeScope();
    }

    /// <summary>Computes ΔW in the shape of the base layer's weight, <c>[in, out / groups, k…]</c>, in float32 at least, without a gradient.</summary>
    /// <returns>A new tensor, which belongs to the current dispose scope.</returns>
    public override Tensor ComputeDelta()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        long places = _base.KernelElements, narrow = Rank / _groups, input = A.shape[0] / _groups, output = B.shape[0] / _groups;
        // For each group: [in / g, k, r / g] times [r / g, out / g].
        Tensor a = A.to(WideType).view(_groups, input, narrow, places).transpose(2, 3);
        Tensor b = B.to(WideType).mul(Scale).view(_groups, 1, output, narrow).transpose(2, 3);
        return a.matmul(b).transpose(2, 3).reshape([A.shape[0], output, .. _base.Kernel]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    internal override LowRank ToLowRank() => new(
        A.detach().to(WideType).reshape(_groups, A.shape[0] / _groups, Rank / _groups, -1).transpose(1, 2).reshape(_groups, Rank / _groups, -1),
        B.detach().to(WideType).reshape(_groups, -1, Rank / _groups));

    /// <inheritdoc/>
    internal override void Assign(LowRank factors)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        A.copy_(factors.A.reshape(_groups, Rank / _groups, A.shape[0] / _groups, -1).transpose(1, 2).reshape(A.shape));
        B.copy_(factors.B.reshape(B.shape));
    }

    private static Tensor Down(long inChannels, long groups, ConvolutionGeometry geometry, AdapterSettings settings, ScalarType dataType, Device device)
    {
        using var noGrad = no_grad();
        Tensor a = empty([inChannels, settings.Rank / groups, .. geometry.Kernel], dtype: dataType, device: device);
        double bound = 1 / Math.Sqrt(inChannels / groups * geometry.KernelElements);
        return settings.Initialize ? nn.init.uniform_(a, -bound, bound) : a;
    }
}
