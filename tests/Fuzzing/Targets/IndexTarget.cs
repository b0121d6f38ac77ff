using System.Text;
using Lora.Fuzzing.Running;
using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Fuzzing.Targets;

/// <summary>Indices of sharded checkpoints, whose shards are right.</summary>
internal sealed class IndexTarget : FuzzTarget
{
    private readonly ScratchFolder _folder = new();
    private readonly ScratchFile _file;

    internal IndexTarget()
    {
        _file = new ScratchFile(_folder["model.safetensors.index.json"]);
        Shard("model-00001-of-00002.safetensors", "a.weight", "a.bias");
        Shard("model-00002-of-00002.safetensors", "b.weight", "b.bias", "é");
        Directory.CreateDirectory(_folder["folder"]);
    }

    internal override string Name => "index";

    internal override string Reads => "SafetensorsSource.Open on model.safetensors.index.json beside two shards";

    internal override IReadOnlyList<FuzzSeed> Seeds { get; } =
    [
        new("all", Encoding.UTF8.GetBytes("""
            {"metadata":{"total_size":96,"format":"pt"},"weight_map":{"a.weight":"model-00001-of-00002.safetensors","a.bias":"model-00001-of-00002.safetensors","b.weight":"model-00002-of-00002.safetensors","b.bias":"model-00002-of-00002.safetensors","\u00e9":"model-00002-of-00002.safetensors"}}
            """)),
        new("some", Encoding.UTF8.GetBytes("""{"weight_map":{"b.bias":"model-00002-of-00002.safetensors"}}""")),
        new("none", Encoding.UTF8.GetBytes("""{"weight_map":{},"metadata":{}}""")),
    ];

    internal override string PlaceName => _folder.Path;

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        _file.Write(input);
        using SafetensorsSource source = SafetensorsSource.Open(_file.Path);
        foreach (SafetensorsEntry entry in source.Entries)
        {
            if (source.GetBytes(entry.Name).Length != entry.ByteCount) throw new InvalidOperationException($"Tensor '{entry.Name}' has not all its bytes.");
        }
    }

    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        _folder.Dispose();
        base.Dispose(disposing);
    }

    private void Shard(string name, params string[] tensors)
    {
        using DisposeScope scope = NewDisposeScope();
        SafetensorsWriter.Save(_folder[name], tensors.ToDictionary(tensor => tensor, _ => ones(2, 2)));
    }
}
