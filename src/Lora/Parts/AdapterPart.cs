using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>
/// What belongs to an adapter beside its layers: trained biases, full copies of modules, single rows of an embedding. The handle keeps the parts beside the
/// layers; each works while its adapter is active and not disabled.
/// </summary>
/// <param name="adapterName">The adapter's name.</param>
internal abstract class AdapterPart(string adapterName) : IDisposable
{
    internal string AdapterName { get; set; } = adapterName;

    /// <summary>The setting that asks for it, in PEFT's words.</summary>
    internal abstract string Setting { get; }

    /// <summary>The modules that it is about, by path.</summary>
    internal abstract IReadOnlyList<string> Paths { get; }

    /// <summary>Whether its parameters are there to be trained.</summary>
    internal virtual bool Trains => true;

    /// <summary>Whether it takes part in what the model computes.</summary>
    internal bool IsActive { get; private set; }

    /// <summary>Its parameters by their keys in PEFT's file, without the prefix.</summary>
    internal abstract IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors { get; }

    /// <summary>Its buffers, which are saved and loaded with its parameters and not trained, by their keys in PEFT's file, without the prefix.</summary>
    internal virtual IReadOnlyList<KeyValuePair<string, Tensor>> FileBuffers => [];

    /// <summary>What its file holds a second time.</summary>
    internal virtual IReadOnlyList<MirroredTensor> Mirrors => [];

    /// <summary>What it takes the place of, as <c>path.weight</c> or <c>path.weight[row]</c>: no two active parts may share any.</summary>
    internal abstract IEnumerable<string> Claims { get; }

    /// <summary>Parameters, its own or the model's, that the model does not list at the moment.</summary>
    internal abstract IEnumerable<Parameter> Unlisted { get; }

    /// <summary>What the samples of a batch that use its adapter compute differently, module by module, while it is not active.</summary>
    internal abstract IEnumerable<SampleChange> SampleChanges { get; }

    internal void SetActive(bool active)
    {
        if (active == IsActive) return;
        IsActive = active;
        if (active) Activate();
        else Deactivate();
    }

    /// <summary>Makes what it computes part of the base weights, where it is not so already.</summary>
    internal virtual void Merge()
    {
    }

    /// <summary>Takes it out of the base weights again, bit for bit.</summary>
    internal virtual void Unmerge()
    {
    }

    /// <summary>Leaves the model as it is now for good, and forgets what was there before.</summary>
    internal abstract void Keep();

    /// <summary>Frees what it holds; it is not active.</summary>
    public abstract void Dispose();

    private protected abstract void Activate();

    private protected abstract void Deactivate();
}
