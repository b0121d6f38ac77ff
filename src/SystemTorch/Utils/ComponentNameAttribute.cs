using System.Reflection;

namespace TorchSharp.Utils;

/// <summary>The name under which a field of a module is registered, where it is not the field's own.</summary>
[AttributeUsage(AttributeTargets.Field | AttributeTargets.Property)]
public class ComponentNameAttribute : Attribute
{
    public string Name { get; set; }

    internal static string Of(MemberInfo member) => member.GetCustomAttribute<ComponentNameAttribute>()?.Name ?? member.Name;
}
