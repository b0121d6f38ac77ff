using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>Lists the modules of a model with their parents, each module once and by the first path that leads to it.</summary>
internal static class ModuleWalker
{
    /// <summary>All modules below <paramref name="root"/>, parents before children. What lies inside a <see cref="LoraLayer"/> is left out.</summary>
    internal static IReadOnlyList<ModuleSite> Walk(nn.Module root)
    {
        var sites = new List<ModuleSite>();
        Descend(root, "", sites, new HashSet<nn.Module>(ReferenceEqualityComparer.Instance) { root });
        return sites;
    }

    /// <summary>Every place at which <paramref name="module"/> is held: one, unless it is shared.</summary>
    internal static IEnumerable<ModuleSite> PlacesOf(nn.Module root, nn.Module module)
    {
        foreach (nn.Module parent in Walk(root).Select(site => site.Module).Prepend(root))
        {
            foreach ((string name, nn.Module child) in parent.named_children())
                if (ReferenceEquals(child, module)) yield return new ModuleSite(name, name, module, parent);
        }
    }

    private static void Descend(nn.Module parent, string prefix, List<ModuleSite> sites, HashSet<nn.Module> seen)
    {
        foreach ((string name, nn.Module child) in parent.named_children())
        {
            if (!seen.Add(child)) continue;
            var site = new ModuleSite(prefix + name, name, child, parent);
            sites.Add(site);
            if (child is not LoraLayer) Descend(child, site.Path + ".", sites, seen);
        }
    }
}
