using System.Reflection;
using System.Text;

namespace Lora.Reference;

/// <summary>The list of all types, by package and namespace, each with its first sentence.</summary>
internal static class IndexPage
{
    public static string Write(IEnumerable<Assembly> libraries, XmlDocuments documents)
    {
        var text = new StringBuilder("# Reference\n\nEvery public type, written by `eng/reference.sh` from the XML documents. For what to do with them see the [guides](../README.md).\n");
        var markdown = new Markdown(null, documents);
        foreach (Assembly library in libraries)
        {
            foreach (IGrouping<string?, Type> group in library.GetExportedTypes().GroupBy(type => type.Namespace).OrderBy(group => group.Key, StringComparer.Ordinal))
            {
                text.Append("\n## ").Append(group.Key).Append("\n\n| type | |\n| --- | --- |\n");
                foreach (Type type in group.OrderBy(type => type.FullName, StringComparer.Ordinal))
                {
                    string summary = markdown.Text(documents.Of(type)?.Element("summary")).ReplaceLineEndings(" ");
                    text.Append("| [`").Append(Declaration.Name(type)).Append("`](").Append(PageNames.Link(null, type)).Append(") | ").Append(First(summary)).Append(" |\n");
                }
            }
        }

        return text.ToString();
    }

    private static string First(string summary)
    {
        int end = summary.IndexOf(". ", StringComparison.Ordinal);
        return end < 0 ? summary : summary[..(end + 1)];
    }
}
