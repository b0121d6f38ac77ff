using Lora.Serialization;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

/// <summary>A current folder that holds what the guides name: small models under the names of large ones, and their data.</summary>
public sealed class Workspace : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _before = Environment.CurrentDirectory;

    public Workspace()
    {
        string root = RepositoryFolder.Root;
        Copy(Path.Combine(root, "samples", "01.FineTune", "model"), "models/Llama-3.2-1B");
        Copy(Path.Combine(root, "tests", "golden", "e11_vit", "base"), "models/vit-base");
        MakeBert(Path.Combine(root, "tests", "golden"));
        Head(Path.Combine(root, "samples", "01.FineTune", "data", "train.jsonl"), "train.jsonl", 48);
        Head(Path.Combine(root, "samples", "01.FineTune", "data", "eval.jsonl"), "test.jsonl", 8);
        Head(Path.Combine(root, "samples", "05.Chat", "data", "train.jsonl"), "chats.jsonl", 24);
        Environment.CurrentDirectory = _folder.Path;
    }

    public void Dispose()
    {
        Environment.CurrentDirectory = _before;
        _folder.Dispose();
    }

    private void Copy(string source, string destination)
    {
        string folder = Directory.CreateDirectory(_folder[destination]).FullName;
        foreach (string file in Directory.EnumerateFiles(source)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
    }

    private void Head(string source, string name, int lines) => File.WriteAllLines(_folder[name], File.ReadLines(source).Take(lines));

    // The reference cases hold a classifier and a tokenizer of another size: the embedding grows, the head goes, and what is left is a pretrained BERT.
    private void MakeBert(string golden)
    {
        const int Vocabulary = 592;
        string source = Path.Combine(golden, "e08_bert_seqcls", "base"), folder = Directory.CreateDirectory(_folder["models/bert-base"]).FullName;
        File.Copy(Path.Combine(golden, "f04_bert_wordpiece", "tokenizer.json"), Path.Combine(folder, "tokenizer.json"));
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), """{"pad_token": "[PAD]"}""");
        File.WriteAllText(
            Path.Combine(folder, "config.json"),
            File.ReadAllText(Path.Combine(source, "config.json")).Replace("\"vocab_size\": 294", $"\"vocab_size\": {Vocabulary}", StringComparison.Ordinal));

        using DisposeScope scope = NewDisposeScope();
        using var weights = SafetensorsSource.Open(Path.Combine(source, "model.safetensors"));
        var tensors = new Dictionary<string, Tensor>();
        foreach (SafetensorsEntry entry in weights.Entries.Where(entry => !entry.Name.StartsWith("classifier.", StringComparison.Ordinal)))
        {
            Tensor value = weights.ReadTensor(entry.Name);
            tensors.Add(entry.Name, entry.Name.EndsWith("word_embeddings.weight", StringComparison.Ordinal) ? cat([value, value, value], 0).narrow(0, 0, Vocabulary).contiguous() : value);
        }

        SafetensorsWriter.Save(Path.Combine(folder, "model.safetensors"), tensors);
    }
}

/// <summary>The guides' code names files of the current folder, which all threads share, and draws from the shared random numbers: it runs alone.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class GuideRuns : ICollectionFixture<Workspace>
{
    public const string Name = "Guides";
}
