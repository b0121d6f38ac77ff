using Lora.Serialization;

namespace Lora.Tests.Serialization;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_is_written_and_replaced()
    {
        AtomicFile.Write(_folder["a"], stream => stream.Write("old"u8));
        AtomicFile.Write(_folder["a"], stream => stream.Write("new"u8));
        Assert.Equal("new", File.ReadAllText(_folder["a"]));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void A_failure_while_writing_leaves_the_old_file_and_nothing_else()
    {
        File.WriteAllText(_folder["a"], "old");
        var exception = Assert.Throws<IOException>(() => AtomicFile.Write(_folder["a"], stream =>
        {
            stream.Write("ne"u8);
            throw new IOException("No space left on device.");
        }));
        Assert.Equal($"'{_folder["a"]}' could not be written: No space left on device. What was there before is unchanged.", exception.Message);
        Assert.Equal("old", File.ReadAllText(_folder["a"]));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void An_exception_of_another_kind_leaves_nothing_behind_either()
    {
        Assert.Throws<InvalidOperationException>(() => AtomicFile.Write(_folder["a"], _ => throw new InvalidOperationException()));
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void A_failure_with_the_second_file_leaves_both_old_ones()
    {
        File.WriteAllText(_folder["a"], "old a");
        File.WriteAllText(_folder["b"], "old b");
        Assert.Throws<IOException>(() => AtomicFile.WriteAll(
            (_folder["a"], stream => stream.Write("new a"u8)),
            (_folder["b"], _ => throw new IOException("No space left on device."))));
        Assert.Equal(("old a", "old b"), (File.ReadAllText(_folder["a"]), File.ReadAllText(_folder["b"])));
        Assert.Equal(2, Directory.GetFiles(_folder.Path).Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_failure_while_replacing_the_second_gives_the_first_its_old_content_back(bool existed)
    {
        if (existed)
        {
            File.WriteAllText(_folder["a"], "old a");
        }

        // The second name becomes a folder after it was looked at, so that only the rename can fail.
        Assert.Throws<IOException>(() => AtomicFile.WriteAll(
            (_folder["a"], stream => stream.Write("new a"u8)),
            (_folder["b"], _ => Directory.CreateDirectory(_folder["b"]))));
        Assert.Equal(existed ? ["old a"] : [], Directory.GetFiles(_folder.Path).Select(File.ReadAllText));
    }

    [Fact]
    public void A_place_that_cannot_be_written_is_named()
    {
        string missing = Path.Combine(_folder["missing"], "a");
        Assert.StartsWith($"'{missing}' could not be written: ", Assert.Throws<IOException>(() => AtomicFile.Write(missing, _ => { })).Message, StringComparison.Ordinal);
        Assert.Equal(
            $"'{_folder.Path}' could not be written: A folder has this name. What was there before is unchanged.",
            Assert.Throws<IOException>(() => AtomicFile.Write(_folder.Path, _ => { })).Message);
    }

    [Fact]
    public void A_name_may_be_as_long_as_the_file_system_takes()
    {
        string path = _folder[new string('a', 39) + "\U0001F600" + new string('b', 200)];
        AtomicFile.WriteAll((path, stream => stream.Write("old"u8)), (_folder["b"], stream => stream.Write("b"u8)));
        AtomicFile.WriteAll((path, stream => stream.Write("new"u8)), (_folder["b"], stream => stream.Write("b"u8)));
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Equal(2, Directory.GetFiles(_folder.Path).Length);
    }

    [Theory]
    [InlineData("there")]
    [InlineData("nowhere")]
    public void A_link_is_replaced_and_comes_back_as_a_link_where_that_fails(string target)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Making links needs rights on Windows.");
        File.WriteAllText(_folder["there"], "linked");
        File.CreateSymbolicLink(_folder["a"], target);
        void WriteAndMakeFolder(Stream stream)
        {
            stream.Write("new b"u8);
            Directory.CreateDirectory(_folder["b"]);
        }
        Assert.Throws<IOException>(() => AtomicFile.WriteAll((_folder["a"], stream => stream.Write("new a"u8)), (_folder["b"], WriteAndMakeFolder)));
        Assert.Equal(target, new FileInfo(_folder["a"]).LinkTarget);
        Directory.Delete(_folder["b"]);
        AtomicFile.WriteAll((_folder["a"], stream => stream.Write("new a"u8)), (_folder["b"], stream => stream.Write("new b"u8)));
        Assert.Equal(("new a", "new b", "linked"), (File.ReadAllText(_folder["a"]), File.ReadAllText(_folder["b"]), File.ReadAllText(_folder["there"])));
        Assert.Null(new FileInfo(_folder["a"]).LinkTarget);
        Assert.Equal(3, Directory.GetFileSystemEntries(_folder.Path).Length);
    }
}
