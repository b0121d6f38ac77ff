namespace Lora.Injection;

/// <summary>Takes a hook away when it is disposed.</summary>
internal sealed class HookRemoval(Action remove) : IDisposable
{
    public void Dispose() => remove();
}
