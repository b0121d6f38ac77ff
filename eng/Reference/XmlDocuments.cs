using System.Reflection;
using System.Xml.Linq;

namespace Lora.Reference;

/// <summary>The XML documents of the libraries, by member; where one says that it inherits, those of what it overrides.</summary>
internal sealed class XmlDocuments
{
    private readonly Dictionary<string, XElement> _members = new(StringComparer.Ordinal);
    private readonly Dictionary<string, MemberInfo> _byId = new(StringComparer.Ordinal);

    public XmlDocuments(IEnumerable<Assembly> libraries)
    {
        foreach (Assembly library in libraries)
        {
            string path = Path.ChangeExtension(library.Location, ".xml");
            foreach (XElement member in XDocument.Load(path, System.Xml.Linq.LoadOptions.PreserveWhitespace).Root!.Element("members")!.Elements("member"))
            {
                // What source generators write is in several libraries under one name, and nobody's to read.
                _members[member.Attribute("name")!.Value] = member;
            }

            foreach (Type type in library.GetExportedTypes())
            {
                _byId[MemberIds.Of(type)] = type;
                foreach (MemberInfo member in TypePage.Members(type)) _byId[MemberIds.Of(member)] = member;
            }
        }
    }

    /// <summary>What an id in <c>cref</c> names, where it is one of these libraries' own.</summary>
    public MemberInfo? Find(string id) => _byId.GetValueOrDefault(id);

    public XElement? Of(MemberInfo member)
    {
        XElement? own = _members.GetValueOrDefault(MemberIds.Of(member));
        if (own?.Element("inheritdoc") is not XElement inherit)
        {
            return own;
        }

        return inherit.Attribute("cref") is XAttribute named
            ? _members.GetValueOrDefault(named.Value)
            : Above(member).Select(Of).FirstOrDefault(found => found is not null);
    }

    private static IEnumerable<MemberInfo> Above(MemberInfo member)
    {
        if (member is Type type)
        {
            return [.. type.BaseType is Type parent ? [parent] : Array.Empty<Type>(), .. type.GetInterfaces()];
        }

        Type owner = member.DeclaringType!;
        IEnumerable<Type> types = owner.GetInterfaces();
        for (Type? parent = owner.BaseType; parent is not null; parent = parent.BaseType) types = types.Prepend(parent);
        return types
            .Select(one => one.IsGenericType ? one.GetGenericTypeDefinition() : one)
            .SelectMany(TypePage.Members)
            .Where(other => other.Name == member.Name && other.MemberType == member.MemberType && Count(other) == Count(member));
    }

    private static int Count(MemberInfo member) => member switch
    {
        MethodBase method => method.GetParameters().Length,
        PropertyInfo property => property.GetIndexParameters().Length,
        _ => 0,
    };
}
