using System.Text.Json;
using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>Reads every file that PEFT and transformers wrote into the golden folders and writes it again: the bytes must be the same.</summary>
public sealed class GoldenFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static IEnumerable<TheoryDataRow<string>> SafetensorsFiles => Files("*.safetensors");

    public static IEnumerable<TheoryDataRow<string>> ConfigFiles => Files(PeftAdapterConfig.FileName);

    public void Dispose() => _folder.Dispose();

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(SafetensorsFiles))]
    public void A_safetensors_file_is_written_byte_for_byte(string file)
    {
        string path = Path.Combine(GoldenFolder.Root, file);
        using (SafetensorsFile source = SafetensorsFile.Open(path))
        {
            using DisposeScope scope = NewDisposeScope();
            SafetensorsWriter.Save(_folder["copy"], source.Entries.Select(entry => KeyValuePair.Create(entry.Name, source.ReadTensor(entry.Name))).Reverse(), source.Metadata);
        }

        Assert.Equal(File.ReadAllBytes(path), File.ReadAllBytes(_folder["copy"]));
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(ConfigFiles))]
    public void A_configuration_is_written_byte_for_byte(string file)
    {
        string path = Path.Combine(GoldenFolder.Root, file);
        PeftAdapterConfig.Load(path).Save(_folder["copy"]);
        Assert.Equal(File.ReadAllText(path), File.ReadAllText(_folder["copy"]));
        Assert.Equal(File.ReadAllBytes(path), File.ReadAllBytes(_folder["copy"]));
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(ConfigFiles))]
    public void A_configuration_that_went_through_our_own_is_written_byte_for_byte(string file)
    {
        string path = Path.Combine(GoldenFolder.Root, file);
        PeftAdapterConfig config = PeftAdapterConfig.Load(path);
        if (NeedsMore(config))
        {
            Assert.Contains("not supported by this version yet", Assert.Throws<AdapterFormatException>(config.ToLoraConfig).Message, StringComparison.Ordinal);
            return;
        }

        LoraConfig ours = config.ToLoraConfig();
        Assert.Equal(File.ReadAllText(path), config.With(ours).ToJson());
        Assert.Equal(ours, PeftAdapterConfig.From(ours).ToLoraConfig());
        // What PEFT fills in by itself is all that a file made from our settings alone lacks.
        AssertSame(config, PeftAdapterConfig.From(ours), "auto_mapping", "fan_in_fan_out", "init_lora_weights", "peft_version", "revision", "eva_config", "corda_config");
    }

    [Fact]
    public void A_sharded_checkpoint_gives_every_tensor()
    {
        foreach (string path in Directory.EnumerateFiles(GoldenFolder.Root, "*.safetensors.index.json", SearchOption.AllDirectories))
        {
            using SafetensorsSource source = SafetensorsSource.Open(Path.GetDirectoryName(path)!);
            using JsonDocument index = JsonDocument.Parse(File.ReadAllBytes(path));
            Assert.Equal(index.RootElement.GetProperty("weight_map").EnumerateObject().Select(property => property.Name), source.Entries.Select(entry => entry.Name));
            Assert.Equal(index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt64(), source.Entries.Sum(entry => entry.ByteCount));
        }
    }

    private static IEnumerable<TheoryDataRow<string>> Files(string pattern) => Directory.EnumerateFiles(GoldenFolder.Root, pattern, SearchOption.AllDirectories)
        .Select(file => Path.GetRelativePath(GoldenFolder.Root, file))
        .Where(file => !file.StartsWith("g0", StringComparison.Ordinal))
        .Order(StringComparer.Ordinal)
        .Select(file => new TheoryDataRow<string>(file).WithTrait("Golden", file[..1].ToUpperInvariant()));

    private static bool NeedsMore(PeftAdapterConfig config)
    {
        var problems = new List<string>();
        PeftUnsupported.Check(config.Fields, problems);
        return problems.Count > 0;
    }

    private static void AssertSame(PeftAdapterConfig expected, PeftAdapterConfig actual, params string[] except)
    {
        Assert.Equal(expected.Fields.Keys, actual.Fields.Keys);
        foreach (string name in expected.Fields.Keys.Except(except))
        {
            Assert.Equal(PythonJson.Format([new(name, expected.Fields[name])]), PythonJson.Format([new(name, actual.Fields[name])]));
        }
    }
}
