#nullable disable
using System.Globalization;
using System.Reflection;
using System.Text;

namespace Lora.Tests;

/// <summary>
/// The public surface of an assembly, one line per public or protected type and member:
/// <c>FullTypeName :: kind signature</c>, where kind is type, ctor, method, property, field, event, enum or const.
/// </summary>
internal static class ApiDump
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<string, string> _keywords = new()
    {
        ["System.Void"] = "void",
        ["System.Boolean"] = "bool",
        ["System.Byte"] = "byte",
        ["System.SByte"] = "sbyte",
        ["System.Int16"] = "short",
        ["System.UInt16"] = "ushort",
        ["System.Int32"] = "int",
        ["System.UInt32"] = "uint",
        ["System.Int64"] = "long",
        ["System.UInt64"] = "ulong",
        ["System.Single"] = "float",
        ["System.Double"] = "double",
        ["System.Decimal"] = "decimal",
        ["System.Char"] = "char",
        ["System.String"] = "string",
        ["System.Object"] = "object",
    };

    private static readonly Dictionary<string, string> _operators = new()
    {
        ["op_Addition"] = "+",
        ["op_Subtraction"] = "-",
        ["op_Multiply"] = "*",
        ["op_Division"] = "/",
        ["op_Modulus"] = "%",
        ["op_BitwiseAnd"] = "&",
        ["op_BitwiseOr"] = "|",
        ["op_ExclusiveOr"] = "^",
        ["op_LeftShift"] = "<<",
        ["op_RightShift"] = ">>",
        ["op_UnsignedRightShift"] = ">>>",
        ["op_Equality"] = "==",
        ["op_Inequality"] = "!=",
        ["op_LessThan"] = "<",
        ["op_GreaterThan"] = ">",
        ["op_LessThanOrEqual"] = "<=",
        ["op_GreaterThanOrEqual"] = ">=",
        ["op_UnaryNegation"] = "-",
        ["op_UnaryPlus"] = "+",
        ["op_LogicalNot"] = "!",
        ["op_OnesComplement"] = "~",
        ["op_Increment"] = "++",
        ["op_Decrement"] = "--",
        ["op_True"] = "true",
        ["op_False"] = "false",
        ["op_Implicit"] = "implicit",
        ["op_Explicit"] = "explicit",
    };

    public static SortedSet<string> Lines(Assembly assembly)
    {
        var lines = new SortedSet<string>(StringComparer.Ordinal);
        foreach (Type type in assembly.GetTypes().Concat(assembly.GetForwardedTypes()).Where(IsVisible)) AddType(type, lines);
        return lines;
    }

    private static bool IsVisible(Type t)
    {
        if (t.Name.StartsWith('<')) return false;
        if (t.IsNested) return (t.IsNestedPublic || t.IsNestedFamily || t.IsNestedFamORAssem) && IsVisible(t.DeclaringType);
        return t.IsPublic;
    }

    private static void AddType(Type t, SortedSet<string> lines)
    {
        string name = Name(t);
        void Add(string line) => lines.Add(name + " :: " + line);

        string access = !t.IsNested || t.IsNestedPublic ? "public" : t.IsNestedFamily ? "protected" : "protected internal";
        if (t.BaseType?.FullName == "System.MulticastDelegate")
        {
            MethodInfo invoke = t.GetMethod("Invoke");
            Add($"type {Obsolete(t)}{access} delegate {TypeOf(invoke.ReturnParameter)} ({Parameters(invoke)}){Constraints(t.GetGenericArguments())}");
            return;
        }
        Add($"type {Obsolete(t)}{access} {Kind(t)}");
        if (t.IsEnum)
        {
            foreach (FieldInfo f in t.GetFields(BindingFlags.Public | BindingFlags.Static))
                Add($"enum {f.Name} = {Text(f.GetRawConstantValue())}");
            return;
        }
        foreach (ConstructorInfo c in t.GetConstructors(Declared & ~BindingFlags.Static))
            if (Access(c) is { } a) Add($"ctor {Obsolete(c)}{a} {Simple(t)}({Parameters(c)})");
        HashSet<MethodInfo> accessors = Accessors(t);
        foreach (MethodInfo m in t.GetMethods(Declared))
            if (Access(m) is { } a && !m.Name.Contains('<') && !accessors.Contains(m)) Add($"method {Obsolete(m)}{a} {Modifiers(m)}{Signature(m)}");
        foreach (PropertyInfo p in t.GetProperties(Declared))
            if (Property(p) is { } line) Add(line);
        foreach (FieldInfo f in t.GetFields(Declared))
            if (Access(f) is { } a && !f.Name.Contains('<')) Add(Field(f, a));
        foreach (EventInfo e in t.GetEvents(Declared))
            if (Access(e.GetAddMethod(true)) is { } a) Add($"event {a} {Modifiers(e.GetAddMethod(true))}{Name(e.EventHandlerType)} {e.Name}");
    }

    private static string Kind(Type t)
    {
        if (t.IsEnum) return "enum : " + Name(Enum.GetUnderlyingType(t));
        string kind =
            t.IsInterface ? "interface"
            : t.IsValueType ? (Has(t, "IsReadOnlyAttribute") ? "readonly " : "") + (t.IsByRefLike ? "ref " : "") + "struct"
            : (t.IsAbstract && t.IsSealed ? "static " : t.IsAbstract ? "abstract " : t.IsSealed ? "sealed " : "") + "class";
        var bases = new List<string>();
        if (t.BaseType != null && t.BaseType.FullName is not ("System.Object" or "System.ValueType")) bases.Add(Name(t.BaseType));
        bases.AddRange(t.GetInterfaces().Where(i => Definition(i).Assembly != t.Assembly || IsVisible(Definition(i))).Select(i => Name(i)).Order(StringComparer.Ordinal));
        int inherited = t.IsNested ? t.DeclaringType.GetGenericArguments().Length : 0;
        return kind + (bases.Count > 0 ? " : " + string.Join(", ", bases) : "") + Constraints(t.GetGenericArguments().Skip(inherited));
    }

    private static string Signature(MethodInfo m)
    {
        string generic = m.IsGenericMethodDefinition ? $"<{string.Join(", ", m.GetGenericArguments().Select(a => a.Name))}>" : "";
        string name = m.IsSpecialName && _operators.TryGetValue(m.Name, out string symbol) ? "operator " + symbol : m.Name;
        string receiver = Has(m, "ExtensionAttribute") ? "this " : "";
        string constraints = m.IsGenericMethodDefinition ? Constraints(m.GetGenericArguments()) : "";
        return $"{TypeOf(m.ReturnParameter)} {name}{generic}({receiver}{Parameters(m)}){constraints}";
    }

    private static string Property(PropertyInfo p)
    {
        MethodInfo get = p.GetGetMethod(true), set = p.GetSetMethod(true);
        string getAccess = get == null ? null : Access(get), setAccess = set == null ? null : Access(set);
        if (getAccess == null && setAccess == null) return null;
        bool byGetter = Rank(getAccess) >= Rank(setAccess);
        string access = byGetter ? getAccess : setAccess;
        string Accessor(string own, string word) => own == null ? "" : (own == access ? "" : own + " ") + word + "; ";

        ParameterInfo[] index = p.GetIndexParameters();
        string name = index.Length == 0 ? p.Name : $"{(p.Name == "Item" ? "this" : "this:" + p.Name)}[{string.Join(", ", index.Select(Parameter))}]";
        bool init = set?.ReturnParameter.GetRequiredCustomModifiers().Any(m => m.Name == "IsExternalInit") == true;
        string required = Has(p, "RequiredMemberAttribute") ? "required " : "";
        return $"property {Obsolete(p)}{access} {Modifiers(byGetter ? get : set)}{required}{TypeOf(p.PropertyType, p.CustomAttributes)} {name} "
            + $"{{ {Accessor(getAccess, "get")}{Accessor(setAccess, init ? "init" : "set")}}}";
    }

    private static string Field(FieldInfo f, string access) =>
        f.IsLiteral
            ? $"const {Obsolete(f)}{access} const {Name(f.FieldType)} {f.Name} = {Value(f.GetRawConstantValue(), f.FieldType)}"
            : $"field {Obsolete(f)}{access} {(f.IsStatic ? "static " : "")}{(f.IsInitOnly ? "readonly " : "")}{TypeOf(f.FieldType, f.CustomAttributes)} {f.Name}";

    private static string Access(MethodBase m) => m.IsPublic ? "public" : m.IsFamily ? "protected" : m.IsFamilyOrAssembly ? "protected internal" : null;

    private static string Access(FieldInfo f) => f.IsPublic ? "public" : f.IsFamily ? "protected" : f.IsFamilyOrAssembly ? "protected internal" : null;

    private static int Rank(string access) => access switch { "public" => 3, "protected internal" => 2, "protected" => 1, _ => 0 };

    private static HashSet<MethodInfo> Accessors(Type t) =>
        t.GetProperties(Declared).SelectMany(p => (MethodInfo[])[p.GetGetMethod(true), p.GetSetMethod(true)])
            .Concat(t.GetEvents(Declared).SelectMany(e => (MethodInfo[])[e.GetAddMethod(true), e.GetRemoveMethod(true)]))
            .Where(m => m != null)
            .ToHashSet();

    private static string Modifiers(MethodInfo m)
    {
        if (m.IsStatic) return m.IsAbstract ? "static abstract " : m.IsVirtual ? "static virtual " : "static ";
        if (m.DeclaringType.IsInterface) return m.IsAbstract ? "" : "default ";
        bool newSlot = (m.Attributes & MethodAttributes.NewSlot) != 0;
        if (m.IsAbstract) return newSlot ? "abstract " : "abstract override ";
        if (!m.IsVirtual) return "";
        if (newSlot) return m.IsFinal ? "" : "virtual ";
        return m.IsFinal ? "sealed override " : "override ";
    }

    private static string Parameters(MethodBase m) => string.Join(", ", m.GetParameters().Select(Parameter));

    private static string Parameter(ParameterInfo p)
    {
        string prefix = Has(p.CustomAttributes, "ParamArrayAttribute") || Has(p.CustomAttributes, "ParamCollectionAttribute") ? "params " : "";
        if (p.ParameterType.IsByRef) prefix += p.IsOut ? "out " : Has(p.CustomAttributes, "IsReadOnlyAttribute") ? "in " : "ref ";
        string value = p.HasDefaultValue ? " = " + Value(p.RawDefaultValue, p.ParameterType) : p.IsOptional ? " = [optional]" : "";
        return prefix + TypeOf(p.ParameterType, p.CustomAttributes) + " " + p.Name + value;
    }

    private static string Value(object value, Type type)
    {
        if (type.IsByRef) type = type.GetElementType();
        Type underlying = Nullable.GetUnderlyingType(type);
        if (value == null) return type.IsGenericParameter || (type.IsValueType && underlying == null) ? "default" : "null";
        Type plain = underlying ?? type;
        if (plain.IsEnum)
        {
            FieldInfo field = plain.GetFields(BindingFlags.Public | BindingFlags.Static)
                .FirstOrDefault(f => Text(f.GetRawConstantValue()) == Text(value is Enum ? Convert.ChangeType(value, Enum.GetUnderlyingType(plain), CultureInfo.InvariantCulture) : value));
            return field == null ? $"({Simple(plain)}){Text(value)}" : $"{Simple(plain)}.{field.Name}";
        }
        return value switch
        {
            bool b => b ? "true" : "false",
            string s => "\"" + s.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n").Replace("\r", "\\r").Replace("\t", "\\t") + "\"",
            char c => "'" + (c < 32 ? "\\u" + ((int)c).ToString("x4", CultureInfo.InvariantCulture) : c.ToString()) + "'",
            float f => f.ToString("R", CultureInfo.InvariantCulture) + "f",
            double d => d.ToString("R", CultureInfo.InvariantCulture),
            DBNull => "[optional]",
            _ => Text(value),
        };
    }

    private static string Constraints(IEnumerable<Type> arguments)
    {
        var text = new StringBuilder();
        foreach (Type a in arguments)
        {
            var list = new List<string>();
            GenericParameterAttributes attributes = a.GenericParameterAttributes;
            bool isStruct = (attributes & GenericParameterAttributes.NotNullableValueTypeConstraint) != 0;
            if (Has(a, "IsUnmanagedAttribute")) list.Add("unmanaged");
            else if (isStruct) list.Add("struct");
            if ((attributes & GenericParameterAttributes.ReferenceTypeConstraint) != 0) list.Add("class");
            list.AddRange(a.GetGenericParameterConstraints().Where(c => c.FullName != "System.ValueType").Select(c => Name(c)).Order(StringComparer.Ordinal));
            if ((attributes & GenericParameterAttributes.DefaultConstructorConstraint) != 0 && !isStruct) list.Add("new()");
            if (list.Count > 0) text.Append($" where {a.Name} : {string.Join(", ", list)}");
        }
        return text.ToString();
    }

    private static string TypeOf(ParameterInfo p) => (p.ParameterType.IsByRef ? "ref " : "") + TypeOf(p.ParameterType, p.CustomAttributes);

    private static string TypeOf(Type t, IEnumerable<CustomAttributeData> attributes)
    {
        if (t.IsByRef) t = t.GetElementType();
        CustomAttributeData names = attributes.FirstOrDefault(a => a.AttributeType.Name == "TupleElementNamesAttribute");
        return Name(t, names == null ? null : new(((IEnumerable<CustomAttributeTypedArgument>)names.ConstructorArguments[0].Value).Select(n => (string)n.Value)));
    }

    /// <summary>A type as C# writes it; <paramref name="names"/> holds the tuple element names that are still to be used.</summary>
    private static string Name(Type t, Queue<string> names = null)
    {
        if (t.IsArray) return $"{Name(t.GetElementType(), names)}[{new string(',', t.GetArrayRank() - 1)}]";
        if (t.IsPointer) return Name(t.GetElementType(), names) + "*";
        if (t.IsByRef) return Name(t.GetElementType(), names) + "&";
        if (t.IsGenericParameter) return t.Name;
        if (t.IsFunctionPointer) return "delegate*<...>";
        if (Nullable.GetUnderlyingType(t) is { } underlying && !t.IsGenericTypeDefinition) return Name(underlying, names) + "?";
        if (IsTuple(t) && !t.IsGenericTypeDefinition && TupleElements(t) is { Count: >= 2 } elements)
        {
            var own = elements.Select(_ => names is { Count: > 0 } ? names.Dequeue() : null).ToList();
            return "(" + string.Join(", ", elements.Select((e, i) => Name(e, names) + (own[i] == null ? "" : " " + own[i])).ToList()) + ")";
        }
        if (t.FullName != null && _keywords.TryGetValue(t.FullName, out string keyword)) return keyword;

        // Generic arguments belong to the chain of declaring types, outermost first.
        var chain = new List<Type>();
        for (Type c = Definition(t); c != null; c = c.DeclaringType) chain.Insert(0, c);
        Type[] arguments = t.GetGenericArguments();
        int used = 0;
        var text = new StringBuilder(string.IsNullOrEmpty(chain[0].Namespace) ? "" : chain[0].Namespace + ".");
        for (int i = 0; i < chain.Count; i++)
        {
            if (i > 0) text.Append('.');
            text.Append(Simple(chain[i]));
            int count = chain[i].GetGenericArguments().Length;
            if (count > used) text.Append('<').AppendJoin(", ", arguments.Skip(used).Take(count - used).Select(a => Name(a, names)).ToList()).Append('>');
            used = Math.Max(used, count);
        }
        return text.ToString();
    }

    private static string Simple(Type t) => t.Name.Split('`')[0];

    private static Type Definition(Type t) => t.IsGenericType ? t.GetGenericTypeDefinition() : t;

    private static bool IsTuple(Type t) => t.IsGenericType && t.Namespace == "System" && t.Name.StartsWith("ValueTuple`", StringComparison.Ordinal);

    private static List<Type> TupleElements(Type t) =>
        t.GetGenericArguments().SelectMany((a, i) => i == 7 && IsTuple(a) ? TupleElements(a) : [a]).ToList();

    private static string Text(object value) => Convert.ToString(value, CultureInfo.InvariantCulture);

    private static bool Has(MemberInfo member, string attribute) => Has(member.CustomAttributes, attribute);

    private static bool Has(IEnumerable<CustomAttributeData> attributes, string name) => attributes.Any(a => a.AttributeType.Name == name);

    private static string Obsolete(MemberInfo member)
    {
        CustomAttributeData found = member.CustomAttributes.FirstOrDefault(a => a.AttributeType.FullName == "System.ObsoleteAttribute");
        if (found == null) return "";
        return found.ConstructorArguments.Count > 1 && found.ConstructorArguments[1].Value is true ? "[Obsolete(error)] " : "[Obsolete] ";
    }
}
