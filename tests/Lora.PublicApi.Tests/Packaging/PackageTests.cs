using System.IO.Compression;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text;
using System.Xml.Linq;
using Lora.Tests;

namespace Lora.PublicApi.Tests.Packaging;

/// <summary>The two packages hold what users need and nothing else, whichever backend built them.</summary>
public sealed class PackageTests(PackageFolder folder) : IClassFixture<PackageFolder>
{
    public static TheoryData<string> Packages => ["Lora", "Lora.Llm"];

    [Theory, MemberData(nameof(Packages))]
    public void Package_HoldsAssemblyDocumentsAndReadme(string name)
    {
        using ZipArchive package = Open(name, "nupkg");

        Assert.Equal(["README.md", $"lib/net10.0/{name}.dll", $"lib/net10.0/{name}.xml"], Content(package, name));
        string readme = Text(package, "README.md");
        Assert.StartsWith($"# {name}\n", readme, StringComparison.Ordinal);
        Assert.DoesNotContain("](docs/", readme, StringComparison.Ordinal); // a page of the feed resolves no link into the repository
        XDocument documents = XDocument.Parse(Text(package, $"lib/net10.0/{name}.xml"));
        Assert.Equal(name, documents.Root!.Element("assembly")!.Element("name")!.Value);
    }

    [Theory, MemberData(nameof(Packages))]
    public void SymbolPackage_HoldsThePdb(string name)
    {
        using ZipArchive package = Open(name, "snupkg");

        Assert.Equal([$"lib/net10.0/{name}.pdb"], Content(package, name));
    }

    [Theory]
    [InlineData("Lora", "TorchSharp 0.106.0")]
    [InlineData("Lora.Llm", "Lora {version}; Microsoft.ML.Tokenizers 2.0.0; TorchSharp 0.106.0")]
    public void Package_DependsOnTorchSharpAndNotOnItsNativeLibraries(string name, string expected)
    {
        using ZipArchive package = Open(name, "nupkg");
        XElement metadata = XDocument.Parse(Text(package, $"{name}.nuspec")).Root!.Elements().Single();
        string Value(string field) => metadata.Elements().Single(element => element.Name.LocalName == field).Value;
        List<XElement> groups = [.. metadata.Descendants().Where(element => element.Name.LocalName == "group")];

        Assert.Equal(name, Value("id"));
        Assert.Equal("MIT", Value("license"));
        Assert.Equal("README.md", Value("readme"));
        Assert.Equal("net10.0", Assert.Single(groups).Attribute("targetFramework")!.Value);
        Assert.Equal(
            expected.Replace("{version}", Value("version"), StringComparison.Ordinal),
            string.Join("; ", groups[0].Elements().Select(d => $"{d.Attribute("id")!.Value} {d.Attribute("version")!.Value}").Order(StringComparer.Ordinal)));
    }

    [Theory]
    [InlineData("Lora", "TorchSharp 0.106.0.0")]
    [InlineData("Lora.Llm", "Lora {version}.0; Microsoft.ML.Tokenizers 1.0.0.0; TorchSharp 0.106.0.0")]
    public void Assembly_RefersToThePackagesAssemblies(string name, string expected)
    {
        using ZipArchive package = Open(name, "nupkg");
        byte[] bytes = Bytes(package, $"lib/net10.0/{name}.dll");
        using var reader = new PEReader(new MemoryStream(bytes));
        MetadataReader metadata = reader.GetMetadataReader();
        IEnumerable<string> references = metadata.AssemblyReferences
            .Select(metadata.GetAssemblyReference)
            .Select(reference => $"{metadata.GetString(reference.Name)} {reference.Version}")
            .Where(reference => !reference.StartsWith("System", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);
        string version = Version(package, name);

        Assert.Equal(expected.Replace("{version}", version, StringComparison.Ordinal), string.Join("; ", references));
        // The builder's folders would be in the debug directory.
        Assert.DoesNotContain(RepositoryFolder.Root, Encoding.Latin1.GetString(bytes), StringComparison.Ordinal);
    }

    private static string Version(ZipArchive package, string name) =>
        XDocument.Parse(Text(package, $"{name}.nuspec")).Descendants().Single(element => element.Name.LocalName == "version").Value;

    private ZipArchive Open(string name, string extension)
    {
        Assert.SkipWhen(folder.Path is null, "There is no .NET SDK on this machine to make packages with.");
        // 'Lora.*' would match the packages of Lora.Llm.
        string path = Assert.Single(Directory.GetFiles(folder.Path!, $"{name}.*.{extension}"), file => char.IsDigit(Path.GetFileName(file)[name.Length + 1]));
        return ZipFile.OpenRead(path);
    }

    // All but what the format itself asks for.
    private static IEnumerable<string> Content(ZipArchive package, string name) =>
        package.Entries.Select(entry => entry.FullName)
            .Where(entry => entry != $"{name}.nuspec" && entry != "[Content_Types].xml" && !entry.StartsWith("_rels/", StringComparison.Ordinal) && !entry.StartsWith("package/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);

    private static string Text(ZipArchive package, string entry) => Encoding.UTF8.GetString(Bytes(package, entry)).TrimStart('\uFEFF');

    private static byte[] Bytes(ZipArchive package, string entry)
    {
        using Stream stream = package.GetEntry(entry)!.Open();
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
