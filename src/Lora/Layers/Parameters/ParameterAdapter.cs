using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// The adapter of a raw parameter. Of a matrix <c>[out, in]</c>, A is <c>[r, in]</c> and B is <c>[out, r]</c>. Of E experts, A is <c>[E·r, in]</c> with the
/// rows of an expert together, B is <c>[out, r·E]</c> with the columns of one rank together, as in PEFT: ΔW_e = s·Σ_k B[:, k·E + e]·A[e·r + k, :].
/// </summary>
public sealed class ParameterAdapter : LoraAdapter
{
    private readonly ParameterShape _shape;

    internal ParameterAdapter(string adapterName, ParameterShape shape, AdapterSettings settings, ScalarType dataType, Device device)
        : base(nameof(ParameterAdapter), adapterName, settings, Down(shape, settings, dataType, device), zeros([shape.Out, settings.Rank * (shape.Experts ?? 1)], dtype: dataType, device: device))
    {
        _shape = shape;
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [new("lora_A.weight", A), new("lora_B.weight", B)];

    /// <summary>Not defined: the parameter is used inside its module.</summary>
    /// <param name="input">Not used.</param>
    /// <returns>Nothing.</returns>
    /// <exception cref="InvalidOperationException">Always.</exception>
    public override Tensor Term(Tensor input) =>
        throw new InvalidOperationException($"Adapter '{AdapterName}' changes a parameter inside its module and has no term that could be added to the module's output.");

    /// <summary>Computes ΔW in the parameter's shape, in float32 at least, without a gradient.</summary>
    /// <returns>A new tensor, which belongs to the current dispose scope.</returns>
    public override Tensor ComputeDelta()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return Delta(A.to(WideType), B.to(WideType)).MoveToOuterDisposeScope();
    }

    /// <summary>ΔW in the parameter's shape and the adapter's type, in the gradient graph.</summary>
    internal Tensor Delta() => Delta(A, B);

    private Tensor Delta(Tensor a, Tensor b)
    {
        Tensor scaled = b.mul(Scale);
        if (_shape.Experts is not long experts) return scaled.mm(a);
        Tensor down = a.view(experts, Rank, _shape.In);
        Tensor up = scaled.view(_shape.Out, Rank, experts).permute(2, 0, 1);
        return _shape.IsTransposed ? down.transpose(1, 2).bmm(up.transpose(1, 2)) : up.bmm(down);
    }

    private static Tensor Down(ParameterShape shape, AdapterSettings settings, ScalarType dataType, Device device)
    {
        using var noGrad = no_grad();
        Tensor a = empty([settings.Rank * (shape.Experts ?? 1), shape.In], dtype: dataType, device: device);
        return settings.Initialize ? nn.init.kaiming_uniform_(a, Math.Sqrt(5)) : a;
    }
}
