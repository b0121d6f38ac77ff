using Lora.Serialization;

namespace Lora.Export;

/// <summary>
/// Finds the tensors of a checkpoint by the paths of an adapter. The two may differ by the name of the model inside the model: the file of a bare model leaves out the <c>transformer.</c> that the
/// paths of one with a head begin with, and the other way round.
/// </summary>
internal sealed class PathFit
{
    private readonly Func<string, string> _map;

    private PathFit(Func<string, string> map) => _map = map;

    /// <summary>The tensor's name in the checkpoint.</summary>
    internal string NameOf(string path, string tensor) => $"{_map(path)}.{tensor}";

    /// <summary>The way of naming under which the most paths are found.</summary>
    internal static PathFit Of(SafetensorsSource source, IReadOnlyCollection<string> paths)
    {
        var modules = new HashSet<string>(StringComparer.Ordinal);
        foreach (SafetensorsEntry entry in source.Entries)
            for (int dot = entry.Name.LastIndexOf('.'); dot > 0; dot = entry.Name.LastIndexOf('.', dot - 1)) modules.Add(entry.Name[..dot]);
        string[] firsts = [.. source.Entries.Select(entry => entry.Name.Split('.')[0]).Distinct(StringComparer.Ordinal)];
        // A path that is right as it is stays so under each of them, such as that of the head.
        IEnumerable<Func<string, string>> ways =
        [
            path => path,
            path => modules.Contains(path) || path.IndexOf('.', StringComparison.Ordinal) < 0 ? path : path[(path.IndexOf('.', StringComparison.Ordinal) + 1)..],
            .. firsts.Select<string, Func<string, string>>(first => path => modules.Contains(path) ? path : $"{first}.{path}"),
        ];
        return new PathFit(ways.MaxBy(way => paths.Count(path => modules.Contains(way(path))))!);
    }
}
