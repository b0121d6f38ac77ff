using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;
using System.Xml.Linq;

namespace Lora.Reference;

/// <summary>The page of one type: what it is, and each member with parameters, result and exceptions.</summary>
internal sealed class TypePage
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private readonly StringBuilder _page = new();
    private readonly XmlDocuments _documents;
    private readonly Markdown _markdown;

    public TypePage(Type type, XmlDocuments documents)
    {
        _documents = documents;
        _markdown = new Markdown(type, documents);
        XElement? document = documents.Of(type);
        Line($"# {Escaped(Declaration.Name(type))}").Line("");
        Line($"Namespace `{type.Namespace}`, package `{type.Assembly.GetName().Name}`. [All types](../README.md)").Line("");
        Paragraph(document?.Element("summary"));
        Code(Declaration.Of(type));
        Parameters(document, "typeparam");
        Parameters(document, "param");
        Paragraph(document?.Element("remarks"));
        if (type.IsEnum)
        {
            Values(type);
            return;
        }

        foreach (IGrouping<string, MemberInfo> section in Members(type).GroupBy(Section).OrderBy(group => Order(group.Key)))
        {
            Line($"## {section.Key}").Line("");
            foreach (MemberInfo member in section.OrderBy(member => member.Name, StringComparer.Ordinal)) Member(member);
        }
    }

    public override string ToString() => _page.ToString().TrimEnd() + "\n";

    /// <summary>A type's own members that its users see: without accessors, and without what the compiler adds to records.</summary>
    public static IEnumerable<MemberInfo> Members(Type type) =>
        typeof(Delegate).IsAssignableFrom(type) || type.IsEnum
            ? []
            : type.GetMembers(Declared).Where(member => member is not Type && IsVisible(member) && !member.IsDefined(typeof(CompilerGeneratedAttribute)) && !IsRecordPart(member));

    private static bool IsRecordPart(MemberInfo member) => member.Name is "<Clone>$" or "EqualityContract" or "PrintMembers" || member.Name.Contains('.') && member is not ConstructorInfo;

    private static bool IsVisible(MemberInfo member) => member switch
    {
        MethodBase method => (!method.IsSpecialName || method.IsConstructor || method.Name.StartsWith("op_", StringComparison.Ordinal)) && IsVisible(method),
        PropertyInfo property => property.GetAccessors(nonPublic: true).Any(IsVisible),
        FieldInfo field => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly,
        EventInfo happening => IsVisible(happening.AddMethod!),
        _ => false,
    };

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static string Section(MemberInfo member) => member switch
    {
        ConstructorInfo => "Constructors",
        PropertyInfo => "Properties",
        FieldInfo => "Fields",
        EventInfo => "Events",
        _ => "Methods",
    };

    private static int Order(string section) => Array.IndexOf(["Constructors", "Fields", "Properties", "Methods", "Events"], section);

    private void Member(MemberInfo member)
    {
        XElement? document = _documents.Of(member);
        string name = member is ConstructorInfo ? member.DeclaringType!.Name.Split('`')[0] : member.Name;
        Line($"### {Escaped(name)}").Line("");
        Code(Declaration.Of(member));
        Paragraph(document?.Element("summary"));
        Parameters(document, "typeparam");
        Parameters(document, "param");
        if (document?.Element("returns") is XElement result) Line($"Returns: {_markdown.Text(result)}").Line("");
        if (document?.Element("value") is XElement value) Line($"Value: {_markdown.Text(value)}").Line("");
        Paragraph(document?.Element("remarks"));
        Exceptions(document);
        if (document?.Element("example") is XElement example) Paragraph(example);
    }

    private void Values(Type type)
    {
        Line("| value | |").Line("| --- | --- |");
        foreach (FieldInfo field in type.GetFields(BindingFlags.Public | BindingFlags.Static))
        {
            Line($"| `{field.Name}` | {_markdown.Text(_documents.Of(field)?.Element("summary"))} |");
        }
    }

    private void Parameters(XElement? document, string kind)
    {
        List<XElement> parameters = [.. document?.Elements(kind) ?? []];
        foreach (XElement parameter in parameters) Line($"- `{parameter.Attribute("name")!.Value}`: {_markdown.Text(parameter)}");
        if (parameters.Count > 0) Line("");
    }

    private void Exceptions(XElement? document)
    {
        List<XElement> exceptions = [.. document?.Elements("exception") ?? []];
        foreach (XElement exception in exceptions) Line($"- throws `{exception.Attribute("cref")!.Value.Split('.')[^1]}`: {_markdown.Text(exception)}");
        if (exceptions.Count > 0) Line("");
    }

    private void Paragraph(XElement? element)
    {
        string text = _markdown.Text(element);
        if (text.Length > 0) Line(text).Line("");
    }

    private void Code(string declaration) => Line("```csharp").Line(declaration).Line("```").Line("");

    private TypePage Line(string text)
    {
        _page.Append(text).Append('\n');
        return this;
    }

    private static string Escaped(string name) => name.Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal);
}
