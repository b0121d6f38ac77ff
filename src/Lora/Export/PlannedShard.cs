using System.Globalization;
using Lora.Serialization;

namespace Lora.Export;

/// <summary>One file of the merged checkpoint.</summary>
/// <param name="FileName">Its name.</param>
/// <param name="Metadata">Its remarks.</param>
/// <param name="Tensors">Its tensors.</param>
internal sealed record PlannedShard(string FileName, IReadOnlyDictionary<string, string> Metadata, IReadOnlyList<PlannedTensor> Tensors)
{
    internal const string SingleName = "model.safetensors";

    /// <summary>The files, with the borders of the original's or with a largest size.</summary>
    internal static IReadOnlyList<PlannedShard> Of(SafetensorsSource source, IReadOnlyList<PlannedTensor> tensors, long? maxBytes)
    {
        if (maxBytes is long most) return Cut(tensors, most);
        if (source is not SafetensorsFolder folder) return [new PlannedShard(SingleName, source.Metadata, tensors)];
        // A head that is new goes where the embedding is; one that takes the place of another stays where that was.
        return [.. tensors.GroupBy(tensor => folder.OwnerOf(folder.TryGetEntry(tensor.Name, out _) ? tensor.Name : tensor.Entry.Name)).OrderBy(group => group.Key.Path, StringComparer.Ordinal).Select(group => new PlannedShard(Path.GetFileName(group.Key.Path), group.Key.Metadata, [.. group]))];
    }

    private static IReadOnlyList<PlannedShard> Cut(IReadOnlyList<PlannedTensor> tensors, long most)
    {
        var files = new List<List<PlannedTensor>>();
        long size = 0;
        foreach (PlannedTensor tensor in tensors)
        {
            if (files.Count == 0 || (files[^1].Count > 0 && size + tensor.Entry.ByteCount > most))
            {
                files.Add([]);
                size = 0;
            }
            files[^1].Add(tensor);
            size += tensor.Entry.ByteCount;
        }
        return [.. files.Select((file, i) => new PlannedShard(files.Count == 1 ? SingleName : string.Create(CultureInfo.InvariantCulture, $"model-{i + 1:00000}-of-{files.Count:00000}.safetensors"), SafetensorsWriter.TorchMetadata, file))];
    }
}
