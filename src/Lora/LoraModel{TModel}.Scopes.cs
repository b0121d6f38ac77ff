using Lora.Layers;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    private int _disabled;

    /// <summary>Whether the adapters are switched off at the moment.</summary>
    public bool IsDisabled => _disabled > 0;

    /// <summary>Switches the adapters off: the model computes what the base model does until the answer is disposed. Scopes nest.</summary>
    /// <returns>The scope; use it with <c>using</c>.</returns>
    /// <exception cref="InvalidOperationException">An adapter is merged, so that the base weights are not there to compute with.</exception>
    public IDisposable Disable()
    {
        ThrowIfFinished();
        if (MergedAdapters is [string merged, ..])
            throw new InvalidOperationException($"Adapter '{merged}' is merged into the base weights and cannot be disabled: unmerge it first.");
        _disabled++;
        foreach (ILoraLayer layer in LoraLayers) layer.Adapters.Disable();
        ActivateParts();
        return new Scope(() =>
        {
            _disabled--;
            foreach (ILoraLayer layer in LoraLayers) layer.Adapters.Enable();
            ActivateParts();
        });
    }

    /// <summary>
    /// Makes adapters active until the answer is disposed; then those are active again that were before. Scopes nest; where one ends before another that was begun
    /// after it, the other's adapters stay active until that ends too. Inside one of <see cref="UsePerSample"/>, all samples use these adapters.
    /// </summary>
    /// <param name="names">The names, as for <see cref="SetActive"/>.</param>
    /// <returns>The scope; use it with <c>using</c>.</returns>
    /// <exception cref="ArgumentException">There is no adapter of a name, or a name is given twice.</exception>
    /// <exception cref="InvalidOperationException">An adapter that is merged would become inactive.</exception>
    public IDisposable Use(params IEnumerable<string> names)
    {
        ThrowIfFinished();
        string[] before = [.. _active];
        Activate(names);
        Choice choice = Choose(null);
        choice.Before = before;
        return new Scope(() => End(choice));
    }

    // Scopes may end in another order than they should: then the adapters of the last that is open stay, and what was active before goes over to the one that came next.
    private void End(Choice choice)
    {
        Choice? next = _choices.Skip(_choices.IndexOf(choice) + 1).FirstOrDefault(other => other.Before is not null);
        if (next is not null) next.Before = choice.Before;
        Withdraw(choice);
        // One that was deleted meanwhile stays away, and a finished handle has nothing to restore.
        if (next is null && !_finished) Activate(choice.Before!.Where(_adapters.ContainsKey));
    }

    private sealed class Scope(Action end) : IDisposable
    {
        private Action? _end = end;

        public void Dispose()
        {
            Action? last = _end;
            _end = null;
            last?.Invoke();
        }
    }
}
