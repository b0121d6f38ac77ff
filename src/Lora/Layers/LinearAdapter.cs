using Lora.Mixing;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// The adapter of a linear layer: A is <c>[r, in]</c>, B is <c>[out, r]</c>, with or without a bias <c>[out]</c>. Of a block-diagonal factor (<see cref="BlockDiagonalOptions"/>) only the
/// blocks are held: A as <c>[r, in / n]</c>, or B as <c>[out, r / n]</c>.
/// </summary>
/// <remarks>
/// A is drawn Kaiming-uniform with a = √5, that is from U(−1/√in, 1/√in), and B is zero, so a fresh adapter changes nothing
/// (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1).
/// </remarks>
public sealed partial class LinearAdapter : LoraAdapter
{
    private readonly KeptTranspose _up = new();
    private readonly int _downBlocks;
    private readonly int _upBlocks;

    /// <summary>Creates a fresh adapter.</summary>
    /// <param name="adapterName">Its name.</param>
    /// <param name="inFeatures">The width of the layer's input.</param>
    /// <param name="outFeatures">The width of the layer's output.</param>
    /// <param name="settings">Rank, alpha, scale and dropout.</param>
    /// <param name="dataType">The type of A and B.</param>
    /// <param name="device">Where A and B live.</param>
    public LinearAdapter(string adapterName, long inFeatures, long outFeatures, AdapterSettings settings, ScalarType dataType, Device device)
        : base(
            nameof(LinearAdapter), adapterName, settings, Down(inFeatures, settings, dataType, device),
            zeros([outFeatures, settings.Rank / settings.UpBlocks], dtype: dataType, device: device),
            settings.HasBias ? zeros([outFeatures], dtype: dataType, device: device) : null)
    {
        (_downBlocks, _upBlocks) = (settings.DownBlocks, settings.UpBlocks);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => ModuleTensors;

    // The fast way knows no bias, no start and no variant.
    internal override RowMixing Mixing => Bias is null && !HasStart && Variant is null ? LinearMixing.Instance : RowMixing.BySegments;

    /// <summary>B transposed, shape <c>[r, out]</c>, without gradient. It stays this adapter's.</summary>
    internal Tensor Up => _up.Of(B);

    /// <inheritdoc/>
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
        // Held here: TorchSharp lets a number that was converted on the fly be collected while libtorch still reads it.
        using Scalar scale = Scale;
        // The scale goes into the narrow product: r numbers a row instead of out.
        Tensor narrow = BlockMatrix.Apply(prepared, _downBlocks > 1 ? A : TermA, _downBlocks).mul(scale);
        return BlockMatrix.Apply(narrow, _upBlocks > 1 ? B : TermB, _upBlocks, ScaledBias).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor ComputeDelta()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return WholeB.to(WideType).mul(Scale).matmul(WholeA.to(WideType)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _up.Dispose();
        base.Dispose(disposing);
    }

    private static Tensor Down(long inFeatures, AdapterSettings settings, ScalarType dataType, Device device)
    {
        using var noGrad = no_grad();
        Tensor a = empty([settings.Rank, inFeatures / settings.DownBlocks], dtype: dataType, device: device);
        if (!settings.Initialize) return a;
        return nn.init.kaiming_uniform_(a, settings.HasDownBlocks ? 0 : Math.Sqrt(5));
    }
}
