using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Lora.Reference;

/// <summary>The text of XML documents as Markdown, with links to the pages of the types named.</summary>
internal sealed partial class Markdown(Type? from, XmlDocuments documents)
{
    /// <summary>The text inside an element; its paragraphs stay apart, its line breaks do not.</summary>
    public string Text(XElement? element)
    {
        if (element is null) return "";
        var text = new StringBuilder();
        foreach (XNode node in element.Nodes()) text.Append(Node(node));
        return BlankLines().Replace(text.ToString().Trim(), "\n\n");
    }

    private string Node(XNode node) => node switch
    {
        XText text => Spaces().Replace(Escaped(text.Value), " "),
        XElement element => Element(element),
        _ => "",
    };

    private string Element(XElement element)
    {
        switch (element.Name.LocalName)
        {
            case "c":
                return $"`{element.Value}`";
            case "code":
                return $"\n\n```csharp\n{Dedented(element.Value)}\n```\n\n";
            case "para":
                return $"\n\n{Text(element)}\n\n";
            case "paramref" or "typeparamref":
                return $"`{element.Attribute("name")!.Value}`";
            case "see" or "seealso":
                return See(element);
            case "list":
                return "\n\n" + string.Concat(element.Elements("item").Select(item => $"- {Item(item)}\n")) + "\n";
            default:
                return Text(element);
        }
    }

    private string Item(XElement item) =>
        item.Element("term") is XElement term ? $"{Text(term)}: {Text(item.Element("description"))}" : Text(item.Element("description") ?? item);

    private string See(XElement see)
    {
        if (see.Attribute("langword") is XAttribute word) return $"`{word.Value}`";
        if (see.Attribute("href") is XAttribute link) return $"[{(see.IsEmpty ? link.Value : Text(see))}]({link.Value})";
        string id = see.Attribute("cref")!.Value;
        string label = see.IsEmpty ? $"`{Label(id)}`" : Text(see);
        return documents.Find(id) switch
        {
            Type type => $"[{label}]({PageNames.Link(from, type)})",
            MemberInfo member => $"[{label}]({PageNames.Link(from, member)})",
            _ => label,
        };
    }

    // T:Lora.LoraModel`1 reads LoraModel; M:Lora.LoraModel`1.Save(System.String) reads LoraModel.Save.
    private string Label(string id)
    {
        if (documents.Find(id) is Type known) return Declaration.Name(known);
        if (documents.Find(id) is MemberInfo member)
        {
            string owner = member.DeclaringType == from ? "" : member.DeclaringType!.Name.Split('`')[0] + ".";
            return member is ConstructorInfo ? member.DeclaringType!.Name.Split('`')[0] : owner + member.Name;
        }

        string[] parts = Arity().Replace(id[2..].Split('(')[0], "").Split('.');
        return id[0] == 'T' || parts.Length < 2 ? parts[^1] : $"{parts[^2]}.{parts[^1]}";
    }

    private static string Escaped(string text) => text.Replace("<", "&lt;", StringComparison.Ordinal).Replace("|", "\\|", StringComparison.Ordinal).Replace("*", "\\*", StringComparison.Ordinal);

    private static string Dedented(string code)
    {
        List<string> lines = [.. code.Replace("\r", "", StringComparison.Ordinal).Trim('\n').TrimEnd().Split('\n')];
        int indent = lines.Where(line => line.Trim().Length > 0).Min(line => line.Length - line.TrimStart().Length);
        return string.Join('\n', lines.Select(line => line.Length >= indent ? line[indent..] : ""));
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"[ ]*\n[ ]*\n\s*")]
    private static partial Regex BlankLines();

    [GeneratedRegex(@"`+\d+")]
    private static partial Regex Arity();
}
