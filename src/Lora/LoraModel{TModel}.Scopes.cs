namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>Whether the adapter is switched off at the moment.</summary>
    public bool IsDisabled => _layers.Any(layer => layer.Layer.IsDisabled);

    /// <summary>Switches the adapter off: the model computes what the base model does until the answer is disposed. Scopes nest.</summary>
    /// <returns>The scope; use it with <c>using</c>.</returns>
    /// <exception cref="InvalidOperationException">The adapter is merged, so that the base weights are not there to compute with.</exception>
    public IDisposable Disable()
    {
        ThrowIfFinished();
        if (IsMerged) throw new InvalidOperationException($"Adapter '{AdapterName}' is merged into the base weights and cannot be disabled: unmerge it first.");
        foreach (AdapterLayer layer in _layers) layer.Layer.Disable();
        return new DisabledScope(_layers);
    }

    private sealed class DisabledScope(IReadOnlyList<AdapterLayer> layers) : IDisposable
    {
        private IReadOnlyList<AdapterLayer>? _layers = layers;

        public void Dispose()
        {
            foreach (AdapterLayer layer in _layers ?? []) layer.Layer.Enable();
            _layers = null;
        }
    }
}
