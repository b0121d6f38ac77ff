using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>What an objective computes with.</summary>
public sealed class ObjectiveContext
{
    private readonly Func<IDisposable> _disable;

    internal ObjectiveContext(CausalLanguageModel model, Func<IDisposable> disable, Device device, int padTokenId)
    {
        (Model, _disable, Device, PadTokenId) = (model, disable, device, padTokenId);
    }

    /// <summary>The model, with the adapters in it.</summary>
    public CausalLanguageModel Model { get; }

    /// <summary>Where batches are made.</summary>
    public Device Device { get; }

    /// <summary>What fills shorter rows.</summary>
    public int PadTokenId { get; }

    /// <summary>Switches the adapters off until the answer is disposed: the model is then the one that the training began from.</summary>
    /// <returns>The scope; use it with <c>using</c>.</returns>
    public IDisposable WithoutAdapters()
    {
        bool training = Model.training;
        // In evaluation mode they may be merged (WrapOptions.MergeInEvaluation), and merged ones cannot be switched off.
        Model.train();
        IDisposable scope = _disable();
        if (!training) Model.eval();
        return scope;
    }

    /// <summary>Makes a batch of texts, padded on the right.</summary>
    /// <param name="texts">At least one text.</param>
    /// <returns>The batch, which the caller disposes.</returns>
    public TrainingBatch Collate(IReadOnlyList<TrainingExample> texts) => TrainingBatch.Collate(texts, PadTokenId, Device);

    internal static ObjectiveContext Of<TModel>(LoraModel<TModel> lora, int padTokenId)
        where TModel : CausalLanguageModel =>
        new(lora.Model, lora.Disable, lora.Layers[0].Layer.Adapter.A.device, padTokenId);
}
