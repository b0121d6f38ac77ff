using System.Reflection;
using Lora.Injection;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>One parameter of a module as a place in which another object can be put. What was there lives on.</summary>
internal sealed class ParameterPlace
{
    private const BindingFlags Members = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    // TorchSharp's setters dispose what was there, and registering under a name that is taken is refused: this is what they do last themselves.
    private static readonly Action<nn.Module, string, Parameter> _register = typeof(nn.Module)
        .GetMethod("ConditionallyRegisterParameter", BindingFlags.Instance | BindingFlags.NonPublic, [typeof(string), typeof(Parameter)])!
        .CreateDelegate<Action<nn.Module, string, Parameter>>();

    private readonly nn.Module _module;
    private readonly string _name;

    private ParameterPlace(nn.Module module, string name)
    {
        _module = module;
        _name = name;
    }

    /// <summary>What is there now; null when the module has been disposed.</summary>
    internal Parameter? Current => _module.named_parameters(recurse: false).FirstOrDefault(p => p.name == _name).parameter;

    /// <summary>Finds the place of a module's own parameter.</summary>
    /// <param name="module">The module.</param>
    /// <param name="name">The parameter's name in it.</param>
    /// <param name="obstacle">Why there is none.</param>
    internal static ParameterPlace? Find(nn.Module module, string name, out string obstacle)
    {
        var place = new ParameterPlace(module, name);
        bool found = module is Embedding || (place.Current is Parameter current && FieldOf(module, current) is not null);
        obstacle = found ? "" : $"no field of {ModuleSlot.ReadableName(module.GetType())} holds it";
        return found ? place : null;
    }

    /// <summary>Puts a parameter there.</summary>
    internal void Set(Parameter parameter)
    {
        if (_module is Embedding embedding)
        {
            // It keeps its weight natively; its setter leaves the old one alone.
            embedding.weight = parameter;
            return;
        }
        FieldOf(_module, Current!)!.SetValue(_module, parameter);
        _register(_module, _name, parameter);
    }

    private static FieldInfo? FieldOf(nn.Module module, Parameter parameter)
    {
        for (Type? type = module.GetType(); type is not null && type != typeof(nn.Module); type = type.BaseType)
        {
            if (type.GetFields(Members).FirstOrDefault(field => typeof(Tensor).IsAssignableFrom(field.FieldType) && ReferenceEquals(field.GetValue(module), parameter)) is FieldInfo found)
                return found;
        }
        return null;
    }
}
