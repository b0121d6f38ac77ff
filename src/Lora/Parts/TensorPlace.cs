using System.Reflection;
using Lora.Injection;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>A tensor of a module's own as a place in which another object can be put. What was there lives on.</summary>
/// <typeparam name="TTensor">A parameter, or a tensor for a buffer.</typeparam>
/// <param name="module">The module.</param>
/// <param name="name">The tensor's name in it.</param>
internal abstract class TensorPlace<TTensor>(nn.Module module, string name)
    where TTensor : Tensor
{
    private const BindingFlags Members = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    /// <summary>What is there now; null when the module has been disposed.</summary>
    internal abstract TTensor? Current { get; }

    protected nn.Module Module { get; } = module;

    protected string Name { get; } = name;

    /// <summary>Makes of a tensor what can be put there; it belongs to the current dispose scope.</summary>
    internal abstract TTensor Make(Tensor value, bool requiresGrad);

    /// <summary>Puts a tensor there.</summary>
    internal virtual void Set(TTensor tensor)
    {
        FieldOf(Current!)!.SetValue(Module, tensor);
        Register(tensor);
    }

    /// <summary>What TorchSharp's setters do last: they dispose what was there, and registering under a name that is taken is refused.</summary>
    protected abstract void Register(TTensor tensor);

    /// <summary>Why the place cannot be used, or null.</summary>
    protected virtual string? Obstacle => Current is TTensor current && FieldOf(current) is not null ? null : $"no field of {ModuleSlot.ReadableName(Module.GetType())} holds it";

    private FieldInfo? FieldOf(TTensor tensor)
    {
        for (Type? type = Module.GetType(); type is not null && type != typeof(nn.Module); type = type.BaseType)
        {
            if (type.GetFields(Members).FirstOrDefault(field => typeof(Tensor).IsAssignableFrom(field.FieldType) && ReferenceEquals(field.GetValue(Module), tensor)) is FieldInfo found)
                return found;
        }
        return null;
    }
}
