namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>Finds out the state of the adapters, of the model and of each layer: enabled, active, merged, trainable, and where they are.</summary>
    /// <returns>The state at this moment; it does not follow later changes.</returns>
    public ModelStatus GetStatus()
    {
        ThrowIfFinished();
        return ModelStatus.Of(_model.GetType().Name, ParameterCounts, AdapterNames, [.. _active], IsDisabled, _layers);
    }
}
