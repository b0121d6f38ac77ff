using System.Reflection;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>One parameter of a module.</summary>
internal sealed class ParameterPlace : TensorPlace<Parameter>
{
    private static readonly Action<nn.Module, string, Parameter> _register = typeof(nn.Module)
        .GetMethod("ConditionallyRegisterParameter", BindingFlags.Instance | BindingFlags.NonPublic, [typeof(string), typeof(Parameter)])!
        .CreateDelegate<Action<nn.Module, string, Parameter>>();

    private ParameterPlace(nn.Module module, string name)
        : base(module, name)
    {
    }

    internal override Parameter? Current => Module.named_parameters(recurse: false).FirstOrDefault(p => p.name == Name).parameter;

    /// <summary>Finds the place of a module's own parameter.</summary>
    /// <param name="module">The module.</param>
    /// <param name="name">The parameter's name in it.</param>
    /// <param name="obstacle">Why there is none.</param>
    internal static ParameterPlace? Find(nn.Module module, string name, out string obstacle)
    {
        var place = new ParameterPlace(module, name);
        obstacle = place.Obstacle ?? "";
        return obstacle.Length == 0 ? place : null;
    }

    internal override Parameter Make(Tensor value, bool requiresGrad) => new(value, requiresGrad);

    internal override void Set(Parameter tensor)
    {
        // It keeps its weight natively; its setter leaves the old one alone.
        if (Module is Embedding embedding) embedding.weight = tensor;
        else base.Set(tensor);
    }

    protected override string? Obstacle => Module is Embedding ? null : base.Obstacle;

    protected override void Register(Parameter tensor) => _register(Module, Name, tensor);
}
