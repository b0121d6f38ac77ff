using System.Reflection;
using System.Text;

namespace Lora.Reference;

/// <summary>The names that the compiler gives members in XML documents, such as <c>M:Lora.LoraModel.Wrap``1(``0,Lora.LoraConfig,Lora.WrapOptions)</c>.</summary>
internal static class MemberIds
{
    public static string Of(MemberInfo member) => member switch
    {
        Type type => "T:" + TypeName(type),
        MethodBase method => "M:" + Method(method),
        PropertyInfo property => "P:" + Owner(property) + property.Name + Parameters(property.GetIndexParameters()),
        FieldInfo field => "F:" + Owner(field) + field.Name,
        EventInfo happening => "E:" + Owner(happening) + happening.Name,
        _ => throw new NotSupportedException($"A member of kind {member.MemberType} has no name in XML documents."),
    };

    private static string Owner(MemberInfo member) => TypeName(member.DeclaringType!) + ".";

    private static string Method(MethodBase method)
    {
        var text = new StringBuilder(Owner(method)).Append(method.IsConstructor ? "#ctor" : method.Name);
        if (method.IsGenericMethod)
        {
            text.Append("``").Append(method.GetGenericArguments().Length);
        }

        text.Append(Parameters(method.GetParameters()));
        if (method is MethodInfo { Name: "op_Implicit" or "op_Explicit" } conversion)
        {
            text.Append('~').Append(Reference(conversion.ReturnType));
        }

        return text.ToString();
    }

    private static string Parameters(ParameterInfo[] parameters) =>
        parameters.Length == 0 ? "" : $"({string.Join(',', parameters.Select(parameter => Reference(parameter.ParameterType)))})";

    private static string TypeName(Type type) =>
        (type.IsGenericType ? type.GetGenericTypeDefinition() : type).FullName!.Replace('+', '.');

    // A type as a parameter has it: with its arguments, and generic parameters by number.
    private static string Reference(Type type)
    {
        if (type.IsByRef) return Reference(type.GetElementType()!) + "@";
        if (type.IsPointer) return Reference(type.GetElementType()!) + "*";
        if (type.IsArray)
        {
            int rank = type.GetArrayRank();
            return Reference(type.GetElementType()!) + (rank == 1 ? "[]" : $"[{string.Join(',', Enumerable.Repeat("0:", rank))}]");
        }

        if (type.IsGenericParameter) return (type.DeclaringMethod is null ? "`" : "``") + type.GenericParameterPosition;
        if (!type.IsGenericType) return type.FullName!.Replace('+', '.');

        // A nested type's arguments include those of the types around it: each segment takes its own.
        var arguments = new Queue<Type>(type.GetGenericArguments());
        var segments = type.GetGenericTypeDefinition().FullName!.Split('+').Select(segment =>
        {
            string[] parts = segment.Split('`');
            return parts.Length == 1
                ? segment
                : $"{parts[0]}{{{string.Join(',', Enumerable.Range(0, int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture)).Select(_ => Reference(arguments.Dequeue())))}}}";
        });
        return string.Join('.', segments);
    }
}
