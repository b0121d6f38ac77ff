using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// The trainable part of one adapted layer: the low-rank pair A, B with ΔW = s·B·A, its rank, alpha, scale s and dropout.
/// </summary>
/// <remarks>
/// A is drawn Kaiming-uniform with a = √5, that is from U(−1/√in, 1/√in), and B is zero, so a fresh adapter changes nothing
/// (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1).
/// </remarks>
public sealed class LoraAdapter : nn.Module
{
    // TorchSharp replaces these by reflection when a model moves to another type or device, and finds them by their component names.
    [ComponentName(Name = "lora_A")]
    private Parameter _a;

    [ComponentName(Name = "lora_B")]
    private Parameter _b;

    /// <summary>Creates a fresh adapter.</summary>
    /// <param name="adapterName">Its name.</param>
    /// <param name="inFeatures">The width of the layer's input.</param>
    /// <param name="outFeatures">The width of the layer's output.</param>
    /// <param name="settings">Rank, alpha, scale and dropout.</param>
    /// <param name="dataType">The type of A and B.</param>
    /// <param name="device">Where A and B live.</param>
    internal LoraAdapter(string adapterName, long inFeatures, long outFeatures, AdapterSettings settings, ScalarType dataType, Device device)
        : base(nameof(LoraAdapter))
    {
        AdapterName = adapterName;
        Rank = settings.Rank;
        Alpha = settings.Alpha;
        Scale = settings.Scale;
        Dropout = settings.Dropout;

        using (no_grad())
        {
            Tensor a = empty([Rank, inFeatures], dtype: dataType, device: device);
            nn.init.kaiming_uniform_(a, Math.Sqrt(5));
            _a = Kept(a);
            _b = Kept(zeros([outFeatures, Rank], dtype: dataType, device: device));
        }
        RegisterComponents();
    }

    /// <summary>The adapter's name, the same on every layer that it adapts.</summary>
    public string AdapterName { get; }

    /// <summary>The rank r.</summary>
    public int Rank { get; }

    /// <summary>The numerator alpha of the scale.</summary>
    public double Alpha { get; }

    /// <summary>The factor s of ΔW = s·B·A: alpha / r, or alpha / √r when rank-stabilised.</summary>
    public double Scale { get; }

    /// <summary>The probability with which an element of the adapter's input is dropped in training.</summary>
    public double Dropout { get; }

    /// <summary>The down-projection, shape <c>[r, in]</c>.</summary>
    public Parameter A => _a;

    /// <summary>The up-projection, shape <c>[out, r]</c>.</summary>
    public Parameter B => _b;

    /// <summary>Computes ΔW = s·B·A, shape <c>[out, in]</c>, in float32 at least, without a gradient.</summary>
    /// <returns>A new tensor, which belongs to the current dispose scope.</returns>
    public Tensor ComputeDelta()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        ScalarType type = _a.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        return _b.to(type).mul(Scale).matmul(_a.to(type)).MoveToOuterDisposeScope();
    }

    /// <summary>Adds the adapter's term to the output of its layer: y + s·B·A·dropout(x).</summary>
    /// <param name="output">The running output, shape <c>[…, out]</c>; its type is kept.</param>
    /// <param name="input">The layer's input, shape <c>[…, in]</c>; it is cast to the type of A.</param>
    /// <returns>A new tensor, which belongs to the current dispose scope.</returns>
    internal Tensor Add(Tensor output, Tensor input)
    {
        // Held here: TorchSharp lets a number that was converted on the fly be collected while libtorch still reads it.
        using Scalar scale = Scale;
        Tensor x = input.dtype == _a.dtype ? input : input.to(_a.dtype);
        if (Dropout > 0 && training) x = nn.functional.dropout(x, Dropout);
        // The scale goes into the narrow product: r numbers a row instead of out.
        Tensor narrow = nn.functional.linear(x, _a).mul(scale);
        Tensor term = nn.functional.linear(narrow, _b);
        // Where the types differ the sum is taken in the wider one and rounded once.
        Tensor sum = output.add(term);
        return sum.dtype == output.dtype ? sum : sum.to(output.dtype);
    }

    // A parameter made inside a dispose scope would die with it.
    private static Parameter Kept(Tensor tensor)
    {
        var parameter = new Parameter(tensor);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
