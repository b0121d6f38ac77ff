using Lora.Injection;
using Lora.Layers;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>
/// kohya's names: a prefix for the model, then a module's path with underscores for its dots. Which underscores were dots can only be told by the paths that a model has.
/// </summary>
internal sealed class KohyaNames
{
    private readonly KeyValuePair<string, string>[] _prefixes;
    private readonly Dictionary<string, List<string>> _paths = new(StringComparer.Ordinal);
    private readonly HashSet<string> _adaptable;

    /// <param name="model">The model.</param>
    /// <param name="options">The kinds of layers that there are beside the built-in ones.</param>
    /// <param name="prefixes">For each prefix, the path of the module that it stands for; an empty one for the whole model.</param>
    internal KohyaNames(nn.Module model, WrapOptions options, IReadOnlyDictionary<string, string> prefixes)
    {
        _prefixes = [.. prefixes];
        LoraLayerKind[] kinds = [.. options.LayerKinds, .. LoraLayerKind.BuiltIn];
        IReadOnlyList<ModuleSite> sites = ModuleWalker.Walk(model);
        foreach (ModuleSite site in sites.Where(site => kinds.Any(kind => kind.Supports(site.Path, site.Module)))) Add(site.Path);
        // What cannot be adapted is found too, where nothing else is meant, and then refused for what it is.
        _adaptable = [.. _paths.Keys];
        foreach (ModuleSite site in sites)
            if (NameOf(_prefixes, site.Path) is string name && !_adaptable.Contains(name)) Add(site.Path);
    }

    /// <summary>The name of the module at a path, or null where no prefix is for it.</summary>
    internal static string? NameOf(IEnumerable<KeyValuePair<string, string>> prefixes, string path) => prefixes
        .Where(prefix => prefix.Value.Length == 0 || path.StartsWith(prefix.Value + ".", StringComparison.Ordinal))
        .OrderByDescending(prefix => prefix.Value.Length)
        .Select(prefix => prefix.Key + path[(prefix.Value.Length == 0 ? 0 : prefix.Value.Length + 1)..].Replace('.', '_'))
        .FirstOrDefault();

    /// <summary>The path that a name stands for; null, with the reason, where there is none or more than one.</summary>
    internal string? Resolve(string name, out string problem)
    {
        problem = "";
        if (_paths.TryGetValue(name, out List<string>? paths) && paths.Count == 1) return paths[0];
        if (paths is not null)
        {
            problem = $"{name} may be {string.Join(" or ", paths.Select(path => $"'{path}'"))}, whose names differ in dots only: rename one of the modules";
            return null;
        }
        IReadOnlyList<string> near = NearNames.Find(name, _adaptable, 3);
        problem = $"{name} is no module of the model" + (near.Count > 0 ? $"; did you mean {string.Join(", ", near)}?" : "");
        return null;
    }

    private void Add(string path)
    {
        if (NameOf(_prefixes, path) is not string name) return;
        if (!_paths.TryGetValue(name, out List<string>? paths)) _paths.Add(name, paths = []);
        paths.Add(path);
    }
}
