using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

public sealed class SafetensorsFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public SafetensorsFolderTests()
    {
        SafetensorsWriter.Save(_folder["1.safetensors"], [new("a", ones([2])), new("unlisted", ones([1]))]);
        SafetensorsWriter.Save(_folder["2.safetensors"], [new("b", zeros([3]))]);
    }

    private string IndexPath => _folder["model.safetensors.index.json"];

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Tensors_come_from_the_shards_that_the_index_names()
    {
        Write("""{"metadata":{"total_size":20,"who":"x"},"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}""");
        using SafetensorsSource source = SafetensorsSource.Open(_folder.Path);
        Assert.Equal(["b", "a"], source.Entries.Select(entry => entry.Name));
        Assert.Equal([3], source.ReadTensor("b").shape);
        Assert.Equal(8, source.GetBytes("a").Length);
        Assert.False(source.TryGetEntry("unlisted", out _));
        Assert.Throws<KeyNotFoundException>(() => source.ReadTensor("unlisted"));
        Assert.Equal(("20", "x"), (source.Metadata["total_size"], source.Metadata["who"]));
    }

    [Fact]
    public void A_folder_with_one_file_needs_no_index()
    {
        File.Move(_folder["2.safetensors"], _folder["model.safetensors"]);
        using SafetensorsSource source = SafetensorsSource.Open(_folder.Path);
        Assert.IsType<SafetensorsFile>(source);
        Assert.Throws<FileNotFoundException>(() => SafetensorsSource.Open(Directory.CreateDirectory(_folder["empty"]).FullName));
    }

    [Theory]
    [InlineData("../1.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("sub/1.safetensors")]
    [InlineData(@"..\\1.safetensors")]
    [InlineData(@"C:1.safetensors")]
    [InlineData("..")]
    [InlineData("")]
    public void A_shard_outside_the_folder_is_refused(string name)
    {
        Write($$$"""{"weight_map":{"a":"{{{name}}}"}}""");
        Assert.Equal(
            $"{IndexPath}: weight_map names \"{name}\" for tensor 'a'; it must be the name of a file in the same folder.",
            Assert.Throws<AdapterFormatException>(() => SafetensorsFolder.Open(IndexPath)).Message);
    }

    [Theory]
    [InlineData("{}", "it has no weight_map.")]
    [InlineData("[]", "it must hold a JSON object.")]
    [InlineData("""{"weight_map":{"a":"3.safetensors"}}""", "the file '3.safetensors' that it names does not exist.")]
    [InlineData("""{"weight_map":{"a":"2.safetensors"}}""", "tensor 'a' is not in '2.safetensors'.")]
    public void An_index_that_does_not_hold_is_refused(string json, string problem)
    {
        Write(json);
        Assert.Equal($"{IndexPath}: {problem}", Assert.Throws<AdapterFormatException>(() => SafetensorsFolder.Open(IndexPath)).Message);
    }

    private void Write(string json) => File.WriteAllText(IndexPath, json);
}
