using Lora.Mixing;
using Lora.Variants;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// The trainable part of one adapted layer under one name: the low-rank pair A, B with ΔW = s·B·A, its rank, alpha, scale s and dropout.
/// </summary>
public abstract partial class LoraAdapter : nn.Module
{
    // TorchSharp replaces these by reflection when a model moves to another type or device, and finds them by their component names.
    [ComponentName(Name = "lora_A")]
    private protected Parameter _a;

    [ComponentName(Name = "lora_B")]
    private protected Parameter _b;

    [ComponentName(Name = "lora_B_bias")]
    private protected Parameter? _bias;

    /// <summary>Creates an adapter over two or three tensors, of which it takes possession.</summary>
    /// <param name="kind">The name of the module's kind.</param>
    /// <param name="adapterName">The adapter's name.</param>
    /// <param name="settings">Rank, alpha, scale and dropout.</param>
    /// <param name="a">The initial A.</param>
    /// <param name="b">The initial B.</param>
    /// <param name="bias">The initial bias of B, or null.</param>
    /// <remarks>A derived class calls <c>RegisterComponents</c> at the end of its constructor, so that A and B become the module's parameters <c>lora_A</c> and <c>lora_B</c>.</remarks>
    protected LoraAdapter(string kind, string adapterName, AdapterSettings settings, Tensor a, Tensor b, Tensor? bias = null)
        : this(kind, adapterName, settings)
    {
        _a = Kept(a);
        _b = Kept(b);
        _bias = bias is null ? null : Kept(bias);
    }

    /// <summary>Creates an adapter that has no pair of its own.</summary>
    private protected LoraAdapter(string kind, string adapterName, AdapterSettings settings)
        : base(kind)
    {
        ArgumentNullException.ThrowIfNull(settings);
        AdapterName = adapterName;
        Rank = settings.Rank;
        Alpha = settings.Alpha;
        InitialScale = Scale = settings.Scale;
        Dropout = settings.Dropout;
        _a = _b = null!;
    }

    /// <summary>The adapter's name, the same on every layer that it adapts.</summary>
    public string AdapterName { get; internal set; }

    /// <summary>The rank r.</summary>
    public int Rank { get; }

    /// <summary>The numerator alpha of the scale.</summary>
    public double Alpha { get; }

    /// <summary>The factor s of ΔW = s·B·A. It is <see cref="InitialScale"/> until it is changed.</summary>
    public double Scale { get; private set; }

    /// <summary>The scale that rank and alpha give: alpha / r, or alpha / √r when rank-stabilised. It is what a saved adapter has again when it is loaded.</summary>
    public double InitialScale { get; }

    /// <summary>The probability with which an element of the adapter's input is dropped in training.</summary>
    public double Dropout { get; }

    /// <summary>The down-projection A.</summary>
    public virtual Parameter A => _a;

    /// <summary>The up-projection B.</summary>
    public virtual Parameter B => _b;

    /// <summary>The low-rank pairs: this adapter alone, or one for each weight where the layer has several that are adapted.</summary>
    public virtual IReadOnlyList<LoraAdapter> Parts => [this];

    /// <summary>The bias of B, shape <c>[out]</c>, which is scaled as the product is; null unless the adapter was made with one.</summary>
    public Parameter? Bias => _bias;

    /// <summary>What makes the adapter more than a term s·B·A·x that is added, such as a <see cref="DoraVariant"/>; null for plain LoRA.</summary>
    public LoraVariant? Variant { get; private set; }

    /// <summary>The parameters by the names that PEFT's file gives them behind the layer's path, in the file's order, with those of the <see cref="Variant"/>.</summary>
    public abstract IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors { get; }

    /// <summary>Computes the adapter's term s·B·A·dropout(x) alone, without what a <see cref="Variant"/> makes of it.</summary>
    /// <param name="input">The layer's input; it is cast to the type of A where the layer computes with it.</param>
    /// <returns>A new tensor of the shape of the layer's output, in the type of A, which belongs to the current dispose scope.</returns>
    public abstract Tensor Term(Tensor input);

    /// <summary>Computes ΔW = s·B·A in the shape in which it is usually written, <c>[out, in, …]</c>, in float32 at least, without a gradient and without what a <see cref="Variant"/> makes of it.</summary>
    /// <returns>A new tensor, which belongs to the current dispose scope.</returns>
    public abstract Tensor ComputeDelta();

    /// <summary>A, B, the bias where there is one and the variant's parameters, by the names of layers whose A and B are modules in PEFT.</summary>
    private protected IReadOnlyList<KeyValuePair<string, Parameter>> ModuleTensors => _bias is null
        ? [new("lora_A.weight", _a), new("lora_B.weight", _b), .. VariantTensors]
        : [new("lora_A.weight", _a), new("lora_B.weight", _b), new("lora_B.bias", _bias), .. VariantTensors];

    /// <summary>The variant's parameters.</summary>
    private protected IReadOnlyList<KeyValuePair<string, Parameter>> VariantTensors => Variant?.FileTensors ?? [];

    /// <summary>The bias times the scale, or null; the new tensor belongs to the current dispose scope.</summary>
    private protected Tensor? ScaledBias => _bias?.mul(Scale);

    /// <summary>Whether B keeps its value: it requires no gradient, whatever is asked for.</summary>
    internal bool HasFrozenB { get; set; }

    /// <summary>What a number in PEFT's file is multiplied by to give the number in a parameter: 1, but where PEFT applies an update more than once.</summary>
    /// <param name="fileTensor">The tensor's name in <see cref="FileTensors"/>.</param>
    internal virtual double FileFactor(string fileTensor) => 1;

    /// <summary>
    /// Tensors, all zero, that stand in a file for weights of the layer that could have a pair and have none. PEFT adapts all of them or none; a pair of
    /// zeros changes nothing, and does not train, since the gradient of each half is zero while the other is.
    /// </summary>
    internal virtual IReadOnlyList<KeyValuePair<string, long[]>> Absent => [];

    /// <summary>How adapters of this kind share a batch, each with rows of its own.</summary>
    internal virtual RowMixing Mixing => RowMixing.BySegments;

    /// <summary>Whether <see cref="Term"/> drops elements of the input at the moment.</summary>
    internal virtual bool DropsInput => Dropout > 0 && training;

    /// <summary>Sets the scale.</summary>
    internal void Rescale(double scale)
    {
        Scale = scale;
        Variant?.Forget();
    }

    /// <summary>Makes the adapter a variant, which becomes its child.</summary>
    internal void Become(LoraVariant variant)
    {
        Variant = variant;
        register_module("variant", variant);
    }

    /// <summary>Adds what the adapter contributes to a layer's output.</summary>
    /// <param name="sum">The output with what other adapters contribute; <paramref name="output"/> itself where this one is the first.</param>
    /// <param name="output">The base layer's output alone.</param>
    /// <param name="input">The base layer's input.</param>
    /// <returns>A new tensor in the wider of the types, which belongs to the current dispose scope.</returns>
    internal Tensor AddTo(Tensor sum, Tensor output, Tensor input) => Variant is null ? sum.add(Term(input)) : Variant.Add(sum, this, output, input);

    /// <summary>What the adapter contributes to some samples of a batch, whatever the base layer's output is.</summary>
    /// <param name="input">The input of these samples.</param>
    /// <param name="samples">Their numbers.</param>
    /// <returns>A new tensor, which belongs to the current dispose scope.</returns>
    internal Tensor Contribution(Tensor input, long[] samples) => Variant is null ? Term(input) : Variant.Contribution(this, input, samples);

    /// <summary>The term of an input that has the type of A and of which elements have been dropped already.</summary>
    internal virtual Tensor TermOf(Tensor prepared) => Term(prepared);

    /// <summary>The input in the type of A, with dropout in training.</summary>
    /// <param name="input">The layer's input.</param>
    /// <returns>The input itself where nothing is to be done, else a new tensor in the current dispose scope.</returns>
    protected internal Tensor Prepared(Tensor input)
    {
        Tensor x = input.dtype == _a.dtype ? input : input.to(_a.dtype);
        return Dropout > 0 && training ? nn.functional.dropout(x, Dropout) : x;
    }

    /// <summary>The type that ΔW is computed in: float64 where A is, else float32.</summary>
    protected ScalarType WideType => _a.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;

    // A parameter made inside a dispose scope would die with it.
    private protected static Parameter Kept(Tensor tensor)
    {
        var parameter = new Parameter(tensor);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
