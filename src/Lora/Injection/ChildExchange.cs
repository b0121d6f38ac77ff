using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>
/// Children that take the places of others in their parents' lists. A child can be put under a name that is taken only after the name was freed, which moves it to the list's
/// end, so that all behind it must follow: each list is made anew once, however many of its children change.
/// </summary>
internal sealed class ChildExchange
{
    private readonly Dictionary<nn.Module, Dictionary<string, nn.Module>> _changes = new(ReferenceEqualityComparer.Instance);

    internal void Add(nn.Module parent, string name, nn.Module child)
    {
        if (!_changes.TryGetValue(parent, out Dictionary<string, nn.Module>? children)) _changes.Add(parent, children = new(StringComparer.Ordinal));
        children[name] = child;
    }

    internal void Apply()
    {
        foreach ((nn.Module parent, Dictionary<string, nn.Module> changed) in _changes)
        {
            (string Name, nn.Module Module)[] children = [.. parent.named_children()];
            int first = Array.FindIndex(children, child => changed.ContainsKey(child.Name));
            if (first < 0) continue; // A disposed parent has let go of its children.
            foreach ((string name, _) in children.AsSpan(first)) parent.register_module(name, null!);
            foreach ((string name, nn.Module child) in children.AsSpan(first)) parent.register_module(name, changed.GetValueOrDefault(name, child));
        }
        _changes.Clear();
    }
}
