namespace Lora.Initialization;

/// <summary>Hooks that are taken away together.</summary>
internal sealed class Watches : IDisposable
{
    private readonly List<IDisposable> _hooks = [];

    internal Watches(IEnumerable<IDisposable> hooks)
    {
        foreach (IDisposable hook in hooks) _hooks.Add(hook);
    }

    public void Dispose()
    {
        foreach (IDisposable hook in _hooks) hook.Dispose();
    }
}
