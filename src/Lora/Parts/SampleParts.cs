using Lora.Injection;
using Lora.Layers;
using Lora.Mixing;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>The modules at which the samples of one batch part, since adapters have something of their own there.</summary>
internal sealed class SampleParts : IDisposable
{
    private readonly List<SampleSplit> _splits = [];
    private readonly SampleSplit.Round _round = new();

    private SampleParts()
    {
    }

    /// <summary>Finds the modules; nothing is changed.</summary>
    /// <param name="model">The model.</param>
    /// <param name="layers">Its adapted layers.</param>
    /// <param name="parts">What its adapters have beside layers.</param>
    /// <param name="batch">Which adapter each sample uses.</param>
    /// <param name="problems">Where the samples cannot part, each in a clause.</param>
    internal static SampleParts Make(nn.Module model, IReadOnlyList<AdapterLayer> layers, IEnumerable<AdapterPart> parts, BatchAdapters batch, out IReadOnlyList<string> problems)
    {
        var made = new SampleParts();
        var found = new List<string>();
        (AdapterPart Part, SampleChange Change)[] all = [.. parts.Where(part => batch.Uses(part.AdapterName)).SelectMany(part => part.SampleChanges.SelectMany(change => WithHead(model, change)).Select(change => (part, change)))];
        if (all.Length == 0)
        {
            problems = [];
            return made;
        }
        foreach ((AdapterPart part, SampleChange change) in all)
        {
            string who = $"adapter '{part.AdapterName}' has its own '{change.Path}' by {part.Setting}";
            ILoraLayer? layer = layers.FirstOrDefault(layer => ReferenceEquals(layer.Layer.BaseLayer, change.Module))?.Layer;
            string? inner = all.FirstOrDefault(other => other.Part.AdapterName == part.AdapterName && other.Change.Change is not null && IsInside(other.Change.Path, change.Path)).Change?.Path;
            if (change.Module is not nn.Module<Tensor, Tensor> module) found.Add($"{who}, which is not one tensor in and one out");
            else if (inner is not null) found.Add($"{who}, in which it has rows of '{inner}' too");
            else
            {
                // What the adapter has of the modules inside goes along, since they part nothing meanwhile.
                IEnumerable<Action> own = all.Where(other => other.Part.AdapterName == part.AdapterName && (ReferenceEquals(other.Change.Module, change.Module) || IsInside(other.Change.Path, change.Path))).SelectMany(other => other.Change.Own);
                made.SplitAt(change.Path, module, batch, layer as LoraLayer, layers).Add(batch.RowsOf(part.AdapterName), change with { Own = [.. own.Distinct()] });
            }
        }
        problems = [.. found.Distinct()];
        return made;
    }

    /// <summary>Makes the samples part, or no longer.</summary>
    internal void SetActive(bool active)
    {
        foreach (SampleSplit split in _splits) split.SetActive(active);
    }

    public void Dispose()
    {
        foreach (SampleSplit split in _splits) split.Dispose();
    }

    private SampleSplit SplitAt(string path, nn.Module<Tensor, Tensor> module, BatchAdapters batch, LoraLayer? layer, IReadOnlyList<AdapterLayer> layers)
    {
        SampleSplit? split = _splits.Find(split => ReferenceEquals(split.Module, module));
        if (split is null) _splits.Add(split = new SampleSplit(path, module, batch, layer, layers, _round));
        return split;
    }

    // A head that shares the embedding's weight computes with the copy too.
    private static IEnumerable<SampleChange> WithHead(nn.Module model, SampleChange change)
    {
        yield return change;
        if (change.Change is not null || model is not IHasTokenEmbedding { TiedHead: nn.Module head } tied || !ReferenceEquals(BaseOf(tied.TokenEmbedding), change.Module)) yield break;
        head = BaseOf(head)!;
        yield return change with { Module = head, Path = ModuleWalker.PathOf(model, head) ?? change.Path };
    }

    private static nn.Module? BaseOf(nn.Module? module) => module is ILoraLayer layer ? layer.BaseLayer : module;

    internal static bool IsInside(string path, string outer) => outer.Length == 0 ? path.Length > 0 : path.StartsWith(outer + ".", StringComparison.Ordinal);
}
