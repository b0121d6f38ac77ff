using Lora.Mixing;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// The trainable part of one adapted layer under one name: the low-rank pair A, B with ΔW = s·B·A, its rank, alpha, scale s and dropout.
/// </summary>
public abstract class LoraAdapter : nn.Module
{
    // TorchSharp replaces these by reflection when a model moves to another type or device, and finds them by their component names.
    [ComponentName(Name = "lora_A")]
    private protected Parameter _a;

    [ComponentName(Name = "lora_B")]
    private protected Parameter _b;

    /// <summary>Creates an adapter over two tensors, of which it takes possession.</summary>
    /// <param name="kind">The name of the module's kind.</param>
    /// <param name="adapterName">The adapter's name.</param>
    /// <param name="settings">Rank, alpha, scale and dropout.</param>
    /// <param name="a">The initial A.</param>
    /// <param name="b">The initial B.</param>
    private protected LoraAdapter(string kind, string adapterName, AdapterSettings settings, Tensor a, Tensor b)
        : base(kind)
    {
        AdapterName = adapterName;
        Rank = settings.Rank;
        Alpha = settings.Alpha;
        InitialScale = Scale = settings.Scale;
        Dropout = settings.Dropout;
        _a = Kept(a);
        _b = Kept(b);
    }

    /// <summary>The adapter's name, the same on every layer that it adapts.</summary>
    public string AdapterName { get; internal set; }

    /// <summary>The rank r.</summary>
    public int Rank { get; }

    /// <summary>The numerator alpha of the scale.</summary>
    public double Alpha { get; }

    /// <summary>The factor s of ΔW = s·B·A. It is <see cref="InitialScale"/> until it is changed.</summary>
    public double Scale { get; internal set; }

    /// <summary>The scale that rank and alpha give: alpha / r, or alpha / √r when rank-stabilised. It is what a saved adapter has again when it is loaded.</summary>
    public double InitialScale { get; }

    /// <summary>The probability with which an element of the adapter's input is dropped in training.</summary>
    public double Dropout { get; }

    /// <summary>The down-projection A.</summary>
    public Parameter A => _a;

    /// <summary>The up-projection B.</summary>
    public Parameter B => _b;

    /// <summary>The parameters by the names that PEFT's file gives them behind the layer's path, in the file's order.</summary>
    public abstract IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors { get; }

    /// <summary>Computes the adapter's term s·B·A·dropout(x) alone.</summary>
    /// <param name="input">The layer's input; it is cast to the type of A where the layer computes with it.</param>
    /// <returns>A new tensor of the shape of the layer's output, in the type of A, which belongs to the current dispose scope.</returns>
    public abstract Tensor Term(Tensor input);

    /// <summary>Computes ΔW in the shape in which it is usually written, <c>[out, in, …]</c>, in float32 at least, without a gradient.</summary>
    /// <returns>A new tensor, which belongs to the current dispose scope.</returns>
    public abstract Tensor ComputeDelta();

    /// <summary>How adapters of this kind share a batch, each with rows of its own.</summary>
    internal virtual RowMixing Mixing => RowMixing.BySegments;

    /// <summary>The input in the type of A, with dropout in training.</summary>
    internal Tensor Prepared(Tensor input)
    {
        Tensor x = input.dtype == _a.dtype ? input : input.to(_a.dtype);
        return Dropout > 0 && training ? nn.functional.dropout(x, Dropout) : x;
    }

    /// <summary>The type that ΔW is computed in.</summary>
    private protected ScalarType WideType => _a.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;

    // A parameter made inside a dispose scope would die with it.
    private protected static Parameter Kept(Tensor tensor)
    {
        var parameter = new Parameter(tensor);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
