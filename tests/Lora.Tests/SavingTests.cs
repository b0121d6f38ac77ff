using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>What is written, and what stays when it cannot be written.</summary>
public sealed class SavingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void Keys_types_and_shapes_are_PEFTs()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Nested, type: ScalarType.BFloat16));
        lora.Save(_folder["deep/er"]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["deep/er/adapter_model.safetensors"]);
        Assert.Equal(
            [
                "base_model.model._inner._first.lora_A.weight F32 [2, 7]",
                "base_model.model._inner._first.lora_B.weight F32 [5, 2]",
                "base_model.model._inner._second.lora_A.weight F32 [2, 5]",
                "base_model.model._inner._second.lora_B.weight F32 [3, 2]",
            ],
            file.Entries.Select(entry => entry.ToString()).Order());
    }

    [Theory]
    [InlineData(null, """{"base_model_class":"FieldModel","parent_library":"Lora.Tests.Models"}""")]
    [InlineData("CAUSAL_LM", "null")]
    public void The_models_class_is_noted_where_no_task_is(string? task, string expected)
    {
        using (var lora = LoraModel.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { TaskType = task })) lora.Save(_folder.Path);
        Assert.Equal(expected, Field("auto_mapping"));
    }

    [Theory]
    [InlineData(LayerKind.Linear, "false")]
    [InlineData(LayerKind.Transposed, "true")]
    public void The_layout_is_noted(LayerKind kind, string expected)
    {
        using (var lora = LoraModel.Wrap(TestModels.Make(Holder.Field, kind), Adapted.Config)) lora.Save(_folder.Path);
        Assert.Equal(expected, Field("fan_in_fan_out"));
    }

    [Fact]
    public void All_linear_is_saved_with_what_is_excluded_as_PEFT_does()
    {
        LoraConfig config = Adapted.Config with { ExcludedModules = ModuleSelector.EndsWith("_second") };
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field), config)) lora.Save(_folder.Path);
        Assert.Equal("""["_first","_second"]""", Field("target_modules"));
        Assert.Equal("""["_second"]""", Field("exclude_modules"));
        using var loaded = LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path);
        Assert.Equal("_first", Assert.Single(loaded.Layers).Path);
        Assert.Empty(loaded.LoadReport);
    }

    [Fact]
    public void A_loaded_files_own_fields_are_kept()
    {
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field))) lora.Save(_folder.Path);
        string path = _folder["adapter_config.json"];
        string text = File.ReadAllText(path).Replace("FieldModel", "TheirModel", StringComparison.Ordinal).Replace("\"revision\": null", "\"revision\": \"main\"", StringComparison.Ordinal);
        File.WriteAllText(path, text);
        using (var lora = LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path)) lora.Save(_folder["again"]);
        Assert.Equal(text, File.ReadAllText(_folder["again/adapter_config.json"]));
    }

    [Fact]
    public void Patterns_are_sorted_as_PEFT_does_where_that_changes_nothing()
    {
        var ranks = new Dictionary<string, int> { ["_second"] = 4, ["_first"] = 3 };
        using (var lora = LoraModel.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { RankPattern = ranks })) lora.Save(_folder.Path);
        Assert.Equal("""{"_first":3,"_second":4}""", Field("rank_pattern"));
    }

    [Fact]
    public void Patterns_whose_order_counts_keep_it()
    {
        LoraConfig config = Adapted.Config with
        {
            RankPattern = new Dictionary<string, int> { ["_second"] = 4, ["_.*"] = 3 },
            AlphaPattern = new Dictionary<string, double> { ["_second"] = 9, ["_.*"] = 1 },
        };
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        Tensor saved;
        using (var lora = LoraModel.Wrap(model, config))
        {
            Adapted.Fill(lora);
            saved = model.call(TestModels.Input());
            lora.Save(_folder.Path);
        }
        Assert.Equal("""{"_second":4,"_.*":3}""", Field("rank_pattern"));
        Assert.Equal("""{"_second":9,"_.*":1}""", Field("alpha_pattern"));
        using var loaded = LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path);
        Adapted.AssertSame(saved, loaded.Model.call(TestModels.Input()));
    }

    [Fact]
    public void An_adapter_is_saved_in_any_state()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.TypedField));
        lora.Save(_folder["plain"]);
        using (lora.Disable()) lora.Save(_folder["disabled"]);
        lora.Merge();
        lora.Save(_folder["merged"]);
        foreach (string file in new[] { "adapter_config.json", "adapter_model.safetensors" })
        {
            byte[] plain = File.ReadAllBytes(_folder[$"plain/{file}"]);
            Assert.Equal(plain, File.ReadAllBytes(_folder[$"disabled/{file}"]));
            Assert.Equal(plain, File.ReadAllBytes(_folder[$"merged/{file}"]));
        }
    }

    [Fact]
    public void A_file_in_the_place_of_the_folder()
    {
        File.WriteAllText(_folder["taken"], "mine");
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        Assert.Equal($"'{_folder["taken"]}' is a file, so that no folder can have this name: give another one, or delete the file first.", Assert.Throws<IOException>(() => lora.Save(_folder["taken"])).Message);
        Assert.Equal("mine", File.ReadAllText(_folder["taken"]));
    }

    [Fact]
    public void A_file_of_an_adapter_is_loaded_by_its_folder()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        lora.Save(_folder.Path);
        string file = _folder["adapter_model.safetensors"];
        Assert.Equal($"'{file}' is a file: give the adapter's folder, which holds it.", Assert.Throws<DirectoryNotFoundException>(() => LoraModel.Load(TestModels.Make(Holder.Field), file)).Message);
        Assert.Equal($"There is no adapter folder '{_folder["none"]}'.", Assert.Throws<DirectoryNotFoundException>(() => LoraModel.Load(TestModels.Make(Holder.Field), _folder["none"])).Message);
    }

    [Fact]
    public void A_folder_in_the_place_of_a_file_leaves_the_other_file_whole()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        lora.Save(_folder.Path);
        string before = File.ReadAllText(_folder["adapter_config.json"]).Replace("\"r\": 2", "\"r\": 77", StringComparison.Ordinal);
        File.WriteAllText(_folder["adapter_config.json"], before);
        File.Delete(_folder["adapter_model.safetensors"]);
        Directory.CreateDirectory(_folder["adapter_model.safetensors"]);
        Assert.Equal(
            $"'{_folder["adapter_model.safetensors"]}' could not be written: A folder has this name. What was there before is unchanged.",
            Assert.Throws<IOException>(() => lora.Save(_folder.Path)).Message);
        Assert.Equal(before, File.ReadAllText(_folder["adapter_config.json"]));
        Assert.Equal(2, Directory.EnumerateFileSystemEntries(_folder.Path).Count());
    }

    [Fact]
    public void A_folder_that_must_not_be_written_keeps_its_adapter()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows() || Environment.IsPrivilegedProcess, "Write protection binds neither Windows folders nor a privileged user.");
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        AssertKeepsOld(lora, _folder.Path, () =>
        {
            SetMode(_folder.Path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
            try
            {
                Assert.Throws<IOException>(() => lora.Save(_folder.Path));
            }
            finally
            {
                SetMode(_folder.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        });
    }

    [Fact]
    public void A_full_disk_keeps_the_old_adapter()
    {
        using SmallDisk? disk = SmallDisk.TryMount(kibibytes: 64);
        Assert.SkipWhen(disk is null, "A small file system can be mounted by a privileged user on Linux only.");
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        lora.Save(disk.Path);
        nn.Module<Tensor, Tensor> wide = new FieldModel(LayerKind.Linear.Make(2000, 2000), LayerKind.Linear.Make(2000, 2000));
        using LoraModel<nn.Module<Tensor, Tensor>> large = Adapted.Wrap(wide);
        AssertKeepsOld(lora, disk.Path, () => Assert.Contains("could not be written", Assert.Throws<IOException>(() => large.Save(disk.Path)).Message, StringComparison.Ordinal));
    }

    private static void SetMode(string folder, UnixFileMode mode)
    {
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(folder, mode);
    }

    private static void AssertKeepsOld(LoraModel<nn.Module<Tensor, Tensor>> lora, string folder, Action fail)
    {
        lora.Save(folder);
        string[] before = [.. Content(folder)];
        Adapted.Fill(lora, seed: 99);
        fail();
        Assert.Equal(before, Content(folder));
        Assert.Equal(2, before.Length);
    }

    private static IEnumerable<string> Content(string folder) =>
        Directory.EnumerateFileSystemEntries(folder).Order().Select(file => $"{file} {Convert.ToHexString(File.ReadAllBytes(file))}");

    private string Field(string name) =>
        string.Concat(PeftAdapterConfig.Load(_folder["adapter_config.json"]).Fields[name].GetRawText().Where(c => !char.IsWhiteSpace(c)));
}
