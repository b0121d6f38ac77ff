using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

public sealed class AdapterFolderTests : IDisposable
{
    private static readonly PeftAdapterConfig _config = PeftAdapterConfig.From(new LoraConfig { TargetModules = ModuleSelector.EndsWith("fc") });
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void An_adapter_is_saved_and_opened()
    {
        AdapterFolder.Save(_folder["new/adapter"], _config, [new("x", ones([2]))]);
        using AdapterFolder adapter = AdapterFolder.Open(_folder["new/adapter"]);
        Assert.Equal(ModuleSelector.EndsWith("fc"), adapter.Config.TargetModules);
        Assert.Equal("x F32 [2]", adapter.Weights.Entries.Single().ToString());
        Assert.Equal("pt", adapter.Weights.Metadata["format"]);
        Assert.Equal(2, Directory.GetFiles(_folder["new/adapter"]).Length);
    }

    [Fact]
    public void A_failure_leaves_the_old_pair()
    {
        AdapterFolder.Save(_folder.Path, _config, [new("x", ones([2]))]);
        string[] before = [.. Directory.GetFiles(_folder.Path).Order()];
        byte[][] bytes = [.. before.Select(File.ReadAllBytes)];
        File.Delete(_folder[AdapterFolder.WeightsName]);
        Directory.CreateDirectory(_folder[AdapterFolder.WeightsName]);
        Assert.Throws<IOException>(() => AdapterFolder.Save(_folder.Path, PeftAdapterConfig.Parse("{}"), [new("x", zeros([2]))]));
        Assert.Equal(bytes[0], File.ReadAllBytes(before[0]));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Problems_of_both_files_are_reported_together()
    {
        File.WriteAllText(_folder[PeftAdapterConfig.FileName], """{"peft_type":"LORA","r":0,"target_modules":["fc"]}""");
        File.WriteAllText(_folder["adapter_model.bin"], "");
        Assert.Equal(
            [
                "adapter_config.json: r must be a whole number of at least 1, but is 0.",
                "adapter_model.safetensors: there is no such file; adapter_model.bin, which is there, is a pickle, whose reading can run code: load it with PEFT and save it with save_pretrained(folder, safe_serialization=True).",
            ],
            Assert.Throws<AdapterFormatException>(() => AdapterFolder.Open(_folder.Path)).Problems);
    }

    [Fact]
    public void A_folder_in_the_place_of_a_file_is_told()
    {
        Directory.CreateDirectory(_folder[PeftAdapterConfig.FileName]);
        Directory.CreateDirectory(_folder[AdapterFolder.WeightsName]);
        Assert.Equal(
            ["adapter_config.json: it is a folder, not a file.", "adapter_model.safetensors: it is a folder, not a file."],
            Assert.Throws<AdapterFormatException>(() => AdapterFolder.Open(_folder.Path)).Problems);
    }

    [Fact]
    public void Folders_made_for_nothing_are_taken_away()
    {
        Directory.CreateDirectory(_folder["there"]);
        // A name that is too long for any file system fails only once the folders above it have been made.
        string path = _folder[$"there/new/er/{new string('n', 300)}"];
        Assert.ThrowsAny<IOException>(() => AdapterFolder.Save(path, _config, [new("x", ones([2]))]));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder["there"]));
        Assert.True(Directory.Exists(_folder["there"]));
    }
}
