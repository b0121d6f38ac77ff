using TorchSharp.Interop;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>What an optimizer remembers about one parameter.</summary>
public abstract class OptimizerState
{
    protected Parameter _parameter;

    protected OptimizerState(Parameter parameter) => _parameter = parameter;

    public abstract void Initialize(OptimizerOptions options);

    public abstract void LoadStateDict(BinaryReader reader);

    public abstract void LoadStateDict(OptimizerState source);

    public abstract void SaveStateDict(BinaryWriter writer);

    public virtual bool ApproximatelyEquals(OptimizerState other) => false;

    public virtual void to(Device device)
    {
    }

    protected static void LoadConditionalStateTensor(BinaryReader reader, ref Tensor result, Device device)
    {
        if (reader.ReadBoolean()) LoadStateTensor(reader, ref result, device);
        else Replace(ref result, null);
    }

    protected static void SaveConditionalStateTensor(BinaryWriter writer, Tensor tensor)
    {
        writer.Write(tensor is not null);
        if (tensor is not null) SaveStateTensor(writer, tensor);
    }

    private protected static void LoadStateTensor(BinaryReader reader, ref Tensor result, Device device)
    {
        using Tensor read = TensorExtensionMethods.Load(reader);
        Replace(ref result, Copy(read, device));
    }

    private protected static void SaveStateTensor(BinaryWriter writer, Tensor tensor)
    {
        using Tensor dense = Ops.Tensor("contiguous", tensor);
        dense.Save(writer);
    }

    /// <summary>Zeros like the parameter, outside every scope: they live as long as the optimizer.</summary>
    private protected Tensor Zeros() => Ops.Tensor("zeros_like", _parameter).DetachFromDisposeScope();

    private protected void Load(ref Tensor target, Tensor source) =>
        Replace(ref target, source is null ? null : Copy(source, _parameter.device));

    private protected static void Replace(ref Tensor target, Tensor value)
    {
        target?.Dispose();
        target = value;
    }

    private protected static void Move(ref Tensor tensor, Device device)
    {
        if (tensor is not null) Replace(ref tensor, Copy(tensor, device));
    }

    // Outside every scope, like Zeros.
    private static Tensor Copy(Tensor tensor, Device device) =>
        Ops.Tensor("to.device", tensor, device, tensor.dtype, false, true).DetachFromDisposeScope();

    private protected static bool Close(Tensor a, Tensor b) => a is null || b is null ? a is null && b is null : Ops.Bool("allclose", a, b);
}
