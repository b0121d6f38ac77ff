using Lora.Conversion;
using Lora.Injection;
using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>The folder of mlx-lm: <c>path.lora_a [in, r]</c>, <c>path.lora_b [r, out]</c>, and one scale for all.</summary>
internal sealed class MlxFormat : AdapterFormat
{
    public override string ToString() => "mlx-lm";

    internal override SavedAdapter Open(string path, nn.Module model, WrapOptions options, KeyRenaming renaming)
    {
        MlxFolder folder = MlxFolder.Open(path);
        SavedAdapter? understood = null;
        try
        {
            return understood = Understand(path, folder, model, renaming);
        }
        finally
        {
            if (understood is null) folder.Dispose();
        }
    }

    internal override void Save(string path, AdapterToSave adapter)
    {
        adapter.ThrowIf([.. adapter.Obstacles(layer => layer is LoraLinear or LoraEmbedding, "linear layers and embeddings"), .. Obstacles(adapter)], this);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        MlxWriter.Write(path, [.. adapter.Adapters.Select(layer => Layer(layer.Path, layer.Adapter))], adapter.Config.Dropout);
    }

    private static SavedAdapter Understand(string path, MlxFolder folder, nn.Module model, KeyRenaming renaming)
    {
        IReadOnlyList<MlxPair> pairs = MlxPair.Of(folder.Weights, out IReadOnlyList<string> found);
        string[] problems = [.. found, .. renaming.Unused([.. pairs.Select(pair => pair.Path)])];
        if (problems.Length > 0) throw new AdapterFormatException(path, problems);
        HashSet<string> embeddings = [.. ModuleWalker.Walk(model).Where(site => site.Module is Embedding).Select(site => site.Path)];
        (string Path, MlxPair Pair)[] layers = [.. pairs.Select(pair => (renaming.Apply(pair.Path), pair))];
        LoraConfig config = ExactTargets.ConfigOf(model, [.. layers.Select(layer => (layer.Path, layer.Pair.Rank, folder.Scale * layer.Pair.Rank))]) with { Dropout = folder.Dropout };
        return new SavedAdapter(path, config, folder.Weights, [.. layers.SelectMany(layer => Tensors(folder, layer.Path, layer.Pair, embeddings.Contains(layer.Path)))]);
    }

    private static IEnumerable<AdapterTensor> Tensors(MlxFolder folder, string path, MlxPair pair, bool isEmbedding) =>
        from half in new[] { (Entry: pair.Down, Key: isEmbedding ? "lora_embedding_A" : "lora_A.weight"), (Entry: pair.Up, Key: isEmbedding ? "lora_embedding_B" : "lora_B.weight") }
        select new AdapterTensor(folder.Weights, half.Entry, AdapterFit.KeyOf(path, half.Key)) { Shape = [half.Entry.Shape[1], half.Entry.Shape[0]], Convert = tensor => tensor.t() };

    private static IEnumerable<string> Obstacles(AdapterToSave adapter) =>
        adapter.Adapters.Where(layer => layer.Adapter is LinearAdapter { Bias: not null }).Select(layer => $"'{layer.Path}' has lora_B.bias, and there is no place for it");

    private static MlxLayer Layer(string path, LoraAdapter adapter)
    {
        var factors = adapter.ToLowRank()!;
        return new MlxLayer(path, factors.A.squeeze(0).to(adapter.A.dtype), factors.B.squeeze(0).to(adapter.A.dtype), adapter.InitialScale);
    }
}
