using System.Reflection;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>The field from which a module takes a parameter, where another one can be put for the time of a pass.</summary>
/// <param name="module">The module.</param>
/// <param name="name">The name under which it has registered the parameter.</param>
internal sealed class ParameterField(nn.Module module, string name) : IDisposable
{
    private const BindingFlags AnyField = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private readonly FieldInfo _field = Find(module, name)!;
    private Parameter? _usual;
    private Parameter? _replacement;

    /// <summary>The module's own parameter, looked up anew each time, since moving a model replaces it.</summary>
    internal Parameter Parameter => Registered(module, name);

    /// <summary>Whether there is such a field. Native modules hold their parameters elsewhere.</summary>
    internal static bool Exists(nn.Module module, string name) => Find(module, name) is not null;

    /// <summary>Puts another tensor, of which it takes possession, into the place of the parameter.</summary>
    internal void Replace(Tensor tensor)
    {
        _usual = Parameter;
        _replacement = new Parameter(tensor, tensor.requires_grad);
        _replacement.DetachFromDisposeScope();
        _field.SetValue(module, _replacement);
    }

    /// <summary>Puts the parameter back, if it is not there.</summary>
    internal void Restore()
    {
        if (_replacement is null) return;
        // A module that has been moved meanwhile has put a new parameter into the field already.
        if (ReferenceEquals(_field.GetValue(module), _replacement)) _field.SetValue(module, _usual);
        _replacement.Dispose();
        (_usual, _replacement) = (null, null);
    }

    public void Dispose() => Restore();

    private static FieldInfo? Find(nn.Module module, string name)
    {
        Parameter registered = Registered(module, name);
        for (Type? type = module.GetType(); type is not null && type != typeof(nn.Module); type = type.BaseType)
        {
            if (type.GetFields(AnyField).FirstOrDefault(field => field.FieldType.IsAssignableFrom(typeof(Parameter)) && ReferenceEquals(field.GetValue(module), registered)) is FieldInfo found)
                return found;
        }
        return null;
    }

    private static Parameter Registered(nn.Module module, string name) => module.named_parameters(recurse: false).First(p => p.name == name).parameter;
}
