using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>A layer with its adapters, of any signature. Implemented by the library's layers and by what derives from <see cref="LoraLayer"/>.</summary>
public interface ILoraLayer : IDisposable
{
    /// <summary>The layer that is adapted.</summary>
    nn.Module BaseLayer { get; }

    /// <summary>The adapters of this layer, by name.</summary>
    AdapterSet Adapters { get; }

    /// <summary>The one adapter that is active, or the first of several.</summary>
    /// <exception cref="InvalidOperationException">None is active.</exception>
    LoraAdapter Adapter => Adapters.FirstActive;

    /// <summary>What goes in and what comes out, such as <c>2048→2048</c>.</summary>
    string Signature { get; }

    /// <summary>Whether the base layer is a child of this one; it is not when this one is a hook beside it.</summary>
    internal bool OwnsBase { get; }

    /// <summary>How often the adapters' terms were asked for; 0 means that no forward pass has reached the layer yet.</summary>
    internal long Calls { get; }

    /// <summary>Why the rows of a batch cannot use different adapters on this layer, as a clause that can follow its path; null where they can.</summary>
    internal string? MixingObstacle => $"is adapted by a {GetType().Name}, which takes one adapter for the whole batch";

    /// <summary>Makes an adapter for this layer, without putting it in.</summary>
    internal LoraAdapter Create(string name, AdapterSettings settings);

    /// <summary>What merging an adapter changes. The tensors belong to the current dispose scope.</summary>
    internal IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter);

    /// <summary>What forbids to merge an adapter, with the remedy, a clause that can follow the layer's path; null where nothing does.</summary>
    internal string? MergeObstacle(LoraAdapter adapter, bool peftCompatible) => null;

    /// <summary>Called before the changes of the first adapter that is merged are carried out.</summary>
    internal void BeginMerging()
    {
    }

    /// <summary>Called when the last merged adapter has been taken out of the weights.</summary>
    internal void EndMerging()
    {
    }

    /// <summary>Called when it changes which adapters work. What a forward pass that failed has left behind is taken back then.</summary>
    internal void Settle()
    {
    }

    /// <summary>Makes the base layer's forward hooks add the adapters' terms; disposing the answer takes the hook away.</summary>
    internal IDisposable AttachHook();

    /// <summary>Disposes the adapters and lets the base layer live.</summary>
    internal void Release();
}
