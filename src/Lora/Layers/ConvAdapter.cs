using Lora.Combining;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// The adapter of a convolution: A is <c>[r, in, k…]</c> and slides as the base layer's kernel does, over all input channels; B is <c>[out, r / groups, 1…]</c>
/// and mixes what A gives, in the base layer's groups.
/// </summary>
/// <remarks>
/// A is drawn Kaiming-uniform with a = √5, that is from U(−1/√n, 1/√n) with n = in·k…, and B and the bias are zero, so a fresh adapter changes nothing.
/// </remarks>
public sealed class ConvAdapter : LoraAdapter
{
    private readonly ConvolutionGeometry _base;
    private readonly long _groups;

    internal ConvAdapter(
        string adapterName, long inChannels, long outChannels, long groups, ConvolutionGeometry geometry, AdapterSettings settings, ScalarType dataType, Device device)
        : base(
            nameof(ConvAdapter), adapterName, settings, Down(inChannels, geometry, settings, dataType, device),
            zeros([outChannels, settings.Rank / groups, .. geometry.Kernel.Select(_ => 1L)], dtype: dataType, device: device),
            settings.HasBias ? zeros([outChannels], dtype: dataType, device: device) : null)
    {
        _base = geometry;
        _groups = groups;
        RegisterComponents();
    }

    /// <summary>
    /// Whether A slides without the base layer's dilation and padding mode, as in PEFT. That is so for an adapter that PEFT made on a convolution that has them:
    /// it was trained so. ΔW is then not what the adapter adds to the output, and cannot be merged exactly.
    /// </summary>
    public bool UsesPeftGeometry { get; private set; }

    /// <inheritdoc/>
    public override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => ModuleTensors;

    /// <summary>Whether PEFT would compute something else with this adapter's tensors.</summary>
    internal bool DiffersFromPeft => _base.IsUnknownToPeft && !UsesPeftGeometry;

    /// <summary>B as the matrix <c>[out, r]</c> which, times <see cref="DownMatrix"/>, gives B·A over all input channels: zero outside the groups.</summary>
    internal Tensor UpMatrix => BlockMatrix.Diagonal(B.flatten(1), _groups);

    /// <summary>A as a matrix <c>[r, in·k…]</c>.</summary>
    internal Tensor DownMatrix => A.flatten(1);

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The adapter is PEFT's on a dilated convolution, and the sizes of A's output and the base layer's differ.</exception>
    public override Tensor Term(Tensor input)
    {
        Tensor prepared = Prepared(input), term = TermOf(prepared);
        if (!ReferenceEquals(prepared, input)) prepared.Dispose();
        return term;
    }

    /// <inheritdoc/>
    internal override Tensor TermOf(Tensor prepared)
    {
        using var scope = NewDisposeScope();
        ConvolutionGeometry geometry = UsesPeftGeometry ? _base.AsInPeft() : _base;
        if (UsesPeftGeometry) CheckSizes(prepared, geometry);
        Tensor narrow = geometry.Slide(prepared, A).mul(Scale);
        return geometry.Mix(narrow, B, ScaledBias, _groups).MoveToOuterDisposeScope();
    }

    /// <summary>Computes ΔW over all input channels, <c>[out, in, k…]</c>, also where the base layer has groups; in float32 at least, without a gradient.</summary>
    /// <returns>A new tensor, which belongs to the current dispose scope.</returns>
    public override Tensor ComputeDelta()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return UpMatrix.to(WideType).mul(Scale).matmul(DownMatrix.to(WideType)).view([B.shape[0], .. A.shape[1..]]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>With PEFT's geometry A and B mean something else than a new adapter would make of their sum.</remarks>
    internal override LowRank? ToLowRank() => UsesPeftGeometry ? null : base.ToLowRank();

    /// <summary>Makes the adapter mean what PEFT makes of its tensors.</summary>
    internal void UsePeftGeometry() => UsesPeftGeometry = _base.IsUnknownToPeft;

    private void CheckSizes(Tensor input, ConvolutionGeometry geometry)
    {
        long[] wanted = _base.OutputSizes(input), given = geometry.OutputSizes(input);
        if (given.SequenceEqual(wanted)) return;
        throw new InvalidOperationException(
            $"Adapter '{AdapterName}' was made by PEFT, which leaves the dilation of a convolution out of lora_A: for this input it gives {string.Join('×', given)} places where the layer gives {string.Join('×', wanted)}, and PEFT fails as well. Train a new adapter, or leave the layer out of the targets.");
    }

    private static Tensor Down(long inChannels, ConvolutionGeometry geometry, AdapterSettings settings, ScalarType dataType, Device device)
    {
        using var noGrad = no_grad();
        Tensor a = empty([settings.Rank, inChannels, .. geometry.Kernel], dtype: dataType, device: device);
        return settings.Initialize ? nn.init.kaiming_uniform_(a, Math.Sqrt(5)) : a;
    }
}
