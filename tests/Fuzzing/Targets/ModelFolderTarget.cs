using Lora.Fuzzing.Mutation;
using Lora.Fuzzing.Running;
using Lora.Llm;

namespace Lora.Fuzzing.Targets;

/// <summary>Whole folders of models, of which one file is damaged.</summary>
internal sealed class ModelFolderTarget : FuzzTarget
{
    private static readonly string[] _cases =
    [
        "e01_gpt2", "e03_llama_tied_llama3_rope", "e04_qwen2", "e05_qwen3", "e06_mistral", "e07_gemma3_text", "e08_bert_seqcls", "e09_roberta_seqcls", "e11_vit", "e12_t5", "e13_gemma2", "e14_phi3", "e17_llama_sharded",
    ];

    private static readonly Dictionary<string, Func<string, IDisposable>> _loaders = new(StringComparer.Ordinal)
    {
        ["e08_bert_seqcls"] = folder => AutoModel.FromPretrained<SequenceClassifier>(folder),
        ["e09_roberta_seqcls"] = folder => AutoModel.FromPretrained<SequenceClassifier>(folder),
        ["e11_vit"] = folder => AutoModel.FromPretrained<ImageClassifier>(folder),
        ["e12_t5"] = folder => AutoModel.FromPretrained<SequenceToSequenceModel>(folder),
    };

    private readonly ScratchFolder _folder = new();
    private readonly TreeMutator _trees;
    private readonly List<string> _files = [];

    internal ModelFolderTarget()
    {
        var seeds = new List<FuzzSeed>();
        foreach (string name in _cases)
        {
            Directory.CreateDirectory(_folder[name]);
            foreach (string path in Directory.EnumerateFiles(Path.Combine(Golden.Root, name, "base")).Order(StringComparer.Ordinal))
            {
                File.Copy(path, Path.Combine(_folder[name], Path.GetFileName(path)));
                if (!path.EndsWith(".json", StringComparison.Ordinal) && !path.EndsWith("model.safetensors", StringComparison.Ordinal)) continue;
                if (Path.GetFileName(path) == "config_v4.json") continue;
                seeds.Add(new FuzzSeed($"{name}/{Path.GetFileName(path)}", File.ReadAllBytes(path), _files.Count));
                _files.Add(Path.Combine(_folder[name], Path.GetFileName(path)));
                // Most of what a folder can go wrong by is its configuration.
                if (path.EndsWith("config.json", StringComparison.Ordinal) && !path.EndsWith("generation_config.json", StringComparison.Ordinal))
                    seeds.AddRange([seeds[^1] with { Name = $"{seeds[^1].Name} " }, seeds[^1] with { Name = $"{seeds[^1].Name}  " }]);
            }
        }
        Seeds = seeds;
        _trees = new TreeMutator([.. seeds.Where(IsJson)]);
    }

    internal override string Name => "folder";

    internal override string Reads => "AutoModel.FromPretrained on folders of 12 families and a sharded one, of which config.json, generation_config.json, the index or the weights are damaged";

    internal override IReadOnlyList<FuzzSeed> Seeds { get; }

    internal override string PlaceName => _folder.Path;

    // The modules of a model take memory of their own, whatever their sizes; there are no more layers than tensors in the folder's weights.
    internal override long FloorBytes => 16 << 20;

    internal override bool IsRejection(Exception exception) => exception is AdapterFormatException or FileNotFoundException;

    internal override byte[] Mutate(FuzzSeed seed, FuzzRandom random) =>
        IsJson(seed) && !random.OneIn(5) ? _trees.Mutate(seed, random) : ByteMutator.Mutate(seed.Bytes, random.Pick(Seeds).Bytes, random);

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        string file = _files[seed.Variant], folder = Path.GetDirectoryName(file)!;
        File.WriteAllBytes(file, input);
        try
        {
            using IDisposable model = _loaders.GetValueOrDefault(Path.GetFileName(folder), path => AutoModel.FromPretrained(path))(folder);
        }
        finally
        {
            File.WriteAllBytes(file, seed.Bytes);
        }
    }

    protected override void Dispose(bool disposing)
    {
        _folder.Dispose();
        base.Dispose(disposing);
    }

    private static bool IsJson(FuzzSeed seed) => seed.Name.Contains(".json", StringComparison.Ordinal);
}
