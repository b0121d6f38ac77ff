using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>Lists the modules of a model with their parents, each module once and by the first path that leads to it, as if no adapters were there.</summary>
internal static class ModuleWalker
{
    /// <summary>All modules below <paramref name="root"/>, parents before children. An adapted layer stands for its base layer; one beside its base layer is left out.</summary>
    internal static IReadOnlyList<ModuleSite> Walk(nn.Module root)
    {
        var sites = new List<ModuleSite>();
        var beside = new Dictionary<nn.Module, ILoraLayer>(ReferenceEqualityComparer.Instance);
        Descend(root, "", sites, new HashSet<nn.Module>(ReferenceEqualityComparer.Instance) { root }, beside);
        return [.. sites.Select(site => beside.TryGetValue(site.Module, out ILoraLayer? layer) ? site with { Layer = layer } : site)];
    }

    /// <summary>The path of a module; null where the model does not list it.</summary>
    internal static string? PathOf(nn.Module root, nn.Module module) => Walk(root).FirstOrDefault(site => ReferenceEquals(site.Module, module))?.Path;

    /// <summary>Every place at which a module is held, by the module: one, unless it is shared.</summary>
    internal static ILookup<nn.Module, ModuleSite> Places(nn.Module root, IReadOnlyList<ModuleSite> sites) => sites
        .Select(site => site.Module)
        .Prepend(root)
        .SelectMany(parent => parent.named_children().Select(child => new ModuleSite(child.name, child.name, child.module, parent)))
        .ToLookup<ModuleSite, nn.Module>(place => place.Module, ReferenceEqualityComparer.Instance);

    /// <summary>The further paths of modules that are held in several places, each with the path that counts.</summary>
    internal static IEnumerable<(string Other, string Path)> OtherPaths(nn.Module root, IReadOnlyList<ModuleSite> sites)
    {
        Dictionary<nn.Module, string> paths = sites.ToDictionary<ModuleSite, nn.Module, string>(site => site.Module, site => site.Path, ReferenceEqualityComparer.Instance);
        foreach ((string prefix, nn.Module parent) in sites.Select(site => (site.Path + ".", site.Module)).Prepend(("", root)))
        {
            foreach ((string name, nn.Module child) in parent.named_children())
                if (paths.TryGetValue(child is ILoraLayer layer ? layer.BaseLayer : child, out string? path) && path != prefix + name) yield return (prefix + name, path);
        }
    }

    private static void Descend(nn.Module parent, string prefix, List<ModuleSite> sites, HashSet<nn.Module> seen, Dictionary<nn.Module, ILoraLayer> beside)
    {
        foreach ((string name, nn.Module child) in parent.named_children())
        {
            var layer = child as ILoraLayer;
            if (layer is { OwnsBase: false })
            {
                beside.TryAdd(layer.BaseLayer, layer);
                continue;
            }
            nn.Module module = layer?.BaseLayer ?? child;
            if (!seen.Add(module)) continue;
            var site = new ModuleSite(prefix + name, name, module, parent) { Layer = layer };
            sites.Add(site);
            Descend(module, site.Path + ".", sites, seen, beside);
        }
    }
}
