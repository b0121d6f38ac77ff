using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Lora.Reference;

/// <summary>Members as a reader of C# would write them.</summary>
internal static class Declaration
{
    private static readonly NullabilityInfoContext Nullability = new();

    private static readonly Dictionary<Type, string> Keywords = new()
    {
        [typeof(void)] = "void",
        [typeof(bool)] = "bool",
        [typeof(byte)] = "byte",
        [typeof(sbyte)] = "sbyte",
        [typeof(short)] = "short",
        [typeof(ushort)] = "ushort",
        [typeof(int)] = "int",
        [typeof(uint)] = "uint",
        [typeof(long)] = "long",
        [typeof(ulong)] = "ulong",
        [typeof(float)] = "float",
        [typeof(double)] = "double",
        [typeof(decimal)] = "decimal",
        [typeof(char)] = "char",
        [typeof(string)] = "string",
        [typeof(object)] = "object",
    };

    public static string Of(MemberInfo member) => member switch
    {
        Type type => OfType(type),
        ConstructorInfo constructor => $"{Access(constructor)} {Simple(constructor.DeclaringType!)}({Parameters(constructor.GetParameters())})",
        MethodInfo method => OfMethod(method),
        PropertyInfo property => OfProperty(property),
        FieldInfo field => OfField(field),
        EventInfo happening => $"{Access(happening.AddMethod!)} event {Name(happening.EventHandlerType!)} {happening.Name}",
        _ => throw new NotSupportedException($"A member of kind {member.MemberType} has no declaration."),
    };

    /// <summary>A type's name with its arguments, without namespaces.</summary>
    public static string Name(Type type, NullabilityInfo? nullability = null)
    {
        string suffix = nullability is { ReadState: NullabilityState.Nullable } && !type.IsValueType ? "?" : "";
        if (type.IsByRef) return Name(type.GetElementType()!, nullability?.ElementType ?? nullability);
        if (type.IsPointer) return Name(type.GetElementType()!) + "*";
        if (type.IsArray) return $"{Name(type.GetElementType()!, nullability?.ElementType)}[{new string(',', type.GetArrayRank() - 1)}]{suffix}";
        if (Nullable.GetUnderlyingType(type) is Type underlying) return Name(underlying) + "?";
        if (Keywords.TryGetValue(type, out string? keyword)) return keyword + suffix;
        if (type.IsGenericParameter) return type.Name + suffix;
        if (!type.IsGenericType) return Outer(type) + type.Name + suffix;

        NullabilityInfo[] inner = nullability?.GenericTypeArguments ?? [];
        IEnumerable<string> arguments = type.GetGenericArguments().Select((argument, i) => Name(argument, i < inner.Length ? inner[i] : null));
        return type.FullName?.StartsWith("System.ValueTuple`", StringComparison.Ordinal) == true
            ? $"({string.Join(", ", arguments)})"
            : $"{Outer(type)}{Simple(type)}<{string.Join(", ", arguments)}>{suffix}";
    }

    public static string Parameters(ParameterInfo[] parameters) => string.Join(", ", parameters.Select(Parameter));

    // torch.nn.Module reads as such; the outermost namespace does not help.
    private static string Outer(Type type) => type.DeclaringType is Type outer && !type.IsGenericParameter ? $"{Outer(outer)}{Simple(outer)}." : "";

    private static string Simple(Type type) => type.Name.Split('`')[0];

    private static string OfType(Type type)
    {
        string access = type.IsNestedFamily || type.IsNestedFamORAssem ? "protected" : "public";
        bool isRecord = type.GetMethod("<Clone>$") is not null;
        if (type.IsEnum) return $"{access} enum {Name(type)}";
        if (typeof(Delegate).IsAssignableFrom(type))
        {
            MethodInfo invoke = type.GetMethod("Invoke")!;
            return $"{access} delegate {Returned(invoke)} {Name(type)}({Parameters(invoke.GetParameters())})";
        }

        string kind = type switch
        {
            { IsInterface: true } => "interface",
            { IsValueType: true } => (type.IsDefined(typeof(IsReadOnlyAttribute)) ? "readonly " : "") + "struct",
            { IsAbstract: true, IsSealed: true } => "static class",
            _ => (type.IsAbstract ? "abstract " : type.IsSealed ? "sealed " : "") + (isRecord ? "record" : "class"),
        };
        List<string> bases = [];
        if (type.BaseType is Type parent && parent != typeof(object) && parent != typeof(ValueType)) bases.Add(Name(parent));
        // Those that a base or another interface brings, and what the compiler adds to records, say nothing new.
        Type[] all = type.GetInterfaces();
        bases.AddRange(all
            .Where(one => one.IsPublic || one.IsNestedPublic)
            .Where(one => type.BaseType is null || !one.IsAssignableFrom(type.BaseType))
            .Where(one => !all.Any(other => other != one && one.IsAssignableFrom(other)))
            .Where(one => !(one.IsGenericType && one.GetGenericTypeDefinition() == typeof(IEquatable<>)))
            .Select(one => Name(one)));
        return $"{access} {kind} {Name(type)}{(bases.Count > 0 ? " : " + string.Join(", ", bases) : "")}{Constraints(type.GetGenericArguments())}";
    }

    private static string OfMethod(MethodInfo method)
    {
        string arguments = method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(argument => argument.Name))}>" : "";
        string name = method.Name switch
        {
            "op_Implicit" => "implicit operator",
            "op_Explicit" => "explicit operator",
            _ when method.Name.StartsWith("op_", StringComparison.Ordinal) => "operator " + method.Name[3..],
            _ => method.Name,
        };
        string parameters = Parameters(method.GetParameters());
        bool isExtension = method.IsDefined(typeof(ExtensionAttribute));
        return $"{Access(method)}{Modifiers(method)} {Returned(method)} {name}{arguments}({(isExtension ? "this " : "")}{parameters}){(method.IsGenericMethod ? Constraints(method.GetGenericArguments()) : "")}";
    }

    private static string OfProperty(PropertyInfo property)
    {
        MethodInfo widest = property.GetAccessors(nonPublic: true).MaxBy(Width)!;
        NullabilityInfo nullability = Nullability.Create(property);
        string Accessor(MethodInfo? accessor, string word) =>
            accessor is null || Width(accessor) == 0 ? "" : $"{(Width(accessor) < Width(widest) ? Access(accessor) + " " : "")}{word}; ";
        string set = property.SetMethod?.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) == true ? "init" : "set";
        string name = property.GetIndexParameters() is { Length: > 0 } index ? $"this[{Parameters(index)}]" : property.Name;
        string required = property.IsDefined(typeof(RequiredMemberAttribute)) ? " required" : "";
        return $"{Access(widest)}{Modifiers(widest)}{required} {Name(property.PropertyType, nullability)} {name} {{ {Accessor(property.GetMethod, "get")}{Accessor(property.SetMethod, set)}}}";
    }

    private static string OfField(FieldInfo field)
    {
        string access = field.IsPublic ? "public" : "protected";
        return field.IsLiteral
            ? $"{access} const {Name(field.FieldType)} {field.Name} = {Value(field.GetRawConstantValue(), field.FieldType)}"
            : $"{access}{(field.IsStatic ? " static" : "")}{(field.IsInitOnly ? " readonly" : "")} {Name(field.FieldType, Nullability.Create(field))} {field.Name}";
    }

    private static string Returned(MethodInfo method) => Name(method.ReturnType, Nullability.Create(method.ReturnParameter));

    private static string Parameter(ParameterInfo parameter)
    {
        string way = !parameter.ParameterType.IsByRef ? "" : parameter.IsOut ? "out " : parameter.IsIn ? "in " : "ref ";
        string many = parameter.IsDefined(typeof(ParamArrayAttribute)) || parameter.IsDefined(typeof(ParamCollectionAttribute)) ? "params " : "";
        string value = parameter.HasDefaultValue ? " = " + Value(parameter.RawDefaultValue, parameter.ParameterType) : "";
        return $"{many}{way}{Name(parameter.ParameterType, Nullability.Create(parameter))} {parameter.Name}{value}";
    }

    private static string Value(object? value, Type type)
    {
        Type plain = Nullable.GetUnderlyingType(type) ?? type;
        return value switch
        {
            null => type.IsValueType && Nullable.GetUnderlyingType(type) is null ? "default" : "null",
            string text => $"\"{text}\"",
            char letter => $"'{letter}'",
            bool yes => yes ? "true" : "false",
            _ when plain.IsEnum => $"{plain.Name}.{Enum.ToObject(plain, value)}",
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => value.ToString()!,
        };
    }

    private static string Constraints(Type[] parameters)
    {
        var text = new System.Text.StringBuilder();
        foreach (Type parameter in parameters.Where(argument => argument.IsGenericParameter))
        {
            GenericParameterAttributes attributes = parameter.GenericParameterAttributes;
            List<string> parts = [];
            if (attributes.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint)) parts.Add("class");
            if (attributes.HasFlag(GenericParameterAttributes.NotNullableValueTypeConstraint)) parts.Add("struct");
            parts.AddRange(parameter.GetGenericParameterConstraints().Where(one => one != typeof(ValueType)).Select(one => Name(one)));
            if (attributes.HasFlag(GenericParameterAttributes.DefaultConstructorConstraint) && !parts.Contains("struct")) parts.Add("new()");
            if (parts.Count > 0) text.Append(CultureInfo.InvariantCulture, $" where {parameter.Name} : {string.Join(", ", parts)}");
        }

        return text.ToString();
    }

    private static string Modifiers(MethodInfo method)
    {
        if (method.DeclaringType!.IsInterface) return method.IsStatic ? " static" : "";
        if (method.IsStatic) return " static";
        if (method.IsAbstract) return " abstract";
        bool overrides = method.GetBaseDefinition() != method;
        return overrides ? " override" : method is { IsVirtual: true, IsFinal: false } ? " virtual" : "";
    }

    private static int Width(MethodBase method) => method.IsPublic ? 2 : method.IsFamily || method.IsFamilyOrAssembly ? 1 : 0;

    private static string Access(MethodBase method) => method.IsPublic ? "public" : "protected";
}
