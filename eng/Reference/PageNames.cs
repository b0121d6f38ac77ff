using System.Reflection;

namespace Lora.Reference;

/// <summary>Which page a type has: <c>Namespace/Type.md</c>, generic ones with the number of their parameters.</summary>
internal static class PageNames
{
    public static string Of(Type type)
    {
        Type definition = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        string name = definition.FullName![(definition.Namespace!.Length + 1)..].Replace('+', '.').Replace('`', '-');
        return $"{definition.Namespace}/{name}.md";
    }

    /// <summary>A link from one type's page to another's; from the index where <paramref name="from"/> is null.</summary>
    public static string Link(Type? from, Type to)
    {
        string target = Of(to);
        return from is null ? target : from.Namespace == to.Namespace ? Path.GetFileName(target) : $"../{target}";
    }

    /// <summary>A link to a member's heading; overloads share the first one's.</summary>
    public static string Link(Type? from, MemberInfo member)
    {
        Type owner = member.DeclaringType!;
        string heading = "#" + (member is ConstructorInfo ? owner.Name.Split('`')[0] : member.Name).ToLowerInvariant();
        return owner == from ? heading : Link(from, owner) + heading;
    }
}
