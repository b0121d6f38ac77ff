using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>
/// What makes an adapter more than a term s·B·A·x that is added: it decides how the adapter changes the layer's output and weight, and may have parameters of its own.
/// Layers and adapters ask it at the points below and do not know which variant it is.
/// </summary>
/// <remarks>
/// The adapter is handed in each time: it owns the variant as its child, so that the variant's parameters move, train and are disposed with A and B. An adapter has one
/// variant or none.
/// </remarks>
public abstract class LoraVariant : nn.Module
{
    private protected LoraVariant(string name)
        : base(name)
    {
    }

    /// <summary>The name under which the method is known, such as <c>DoRA</c>.</summary>
    public abstract string Title { get; }

    /// <summary>The variant's own parameters by the names that PEFT's file gives them behind the layer's path.</summary>
    internal virtual IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [];

    /// <summary>
    /// Whether the layer's output and weight must be the base model's alone, so that no other adapter may be merged into the weight while this one is not.
    /// </summary>
    internal virtual bool NeedsBaseAlone => false;

    /// <summary>Whether the update is the product of the parameters A and B, so that what looks at these knows it.</summary>
    internal virtual bool HasPlainPair => true;

    /// <summary>Whether the adapter takes a part off what the base computes that a second one of the kind would take off again.</summary>
    internal virtual bool TakesOffBase => false;

    /// <summary>Why the adapter cannot be merged, a clause that can follow the layer's path; null where it can.</summary>
    internal virtual string? MergeObstacle => null;

    /// <summary>Why merging could not be undone without the weight of before, a clause that can follow the layer's path; null where it can.</summary>
    internal virtual string? RevertObstacle => null;

    /// <summary>Why rows of one batch cannot have different adapters where this one is among them, a clause that can follow the adapter's name; null where they can.</summary>
    internal virtual string? MixingObstacle => null;

    /// <summary>Gives the variant's parameters the values that go with the present A, B and base weight. To be called again where one of these is initialised otherwise.</summary>
    internal virtual void Initialize(LoraAdapter adapter)
    {
    }

    /// <summary>What stands for B in the update s·B·A: B itself, or a new tensor of its shape in the current dispose scope.</summary>
    internal virtual Tensor Up(Tensor b) => b;

    /// <summary>Finds in the base weight what the variant needs of it. Called once, on a weight without adapters, for fresh adapters and for those from files.</summary>
    internal virtual void ReadBase(LoraAdapter adapter)
    {
    }

    /// <summary>Adds what the adapter contributes.</summary>
    /// <param name="sum">The output with what other adapters contribute; <paramref name="output"/> itself where this adapter is the first.</param>
    /// <param name="adapter">The adapter.</param>
    /// <param name="output">The base layer's output alone.</param>
    /// <param name="input">The base layer's input.</param>
    /// <returns>A new tensor, in the wider of the types, which belongs to the current dispose scope.</returns>
    internal virtual Tensor Add(Tensor sum, LoraAdapter adapter, Tensor output, Tensor input)
    {
        using Tensor contribution = Contribution(adapter, input, null);
        return sum.add(contribution);
    }

    /// <summary>Computes what the adapter contributes, where that does not depend on the base layer's output.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="input">The base layer's input, or the rows of it that use the adapter.</param>
    /// <param name="samples">Which samples of the batch the rows are; null for all.</param>
    /// <returns>A new tensor of the shape of the layer's output for these rows, which belongs to the current dispose scope.</returns>
    internal virtual Tensor Contribution(LoraAdapter adapter, Tensor input, long[]? samples) => adapter.Term(input);

    /// <summary>Turns the changes that merging A and B would make into those of the variant.</summary>
    internal virtual IEnumerable<WeightChange> Merged(LoraAdapter adapter, IEnumerable<WeightChange> changes) => changes;

    /// <summary>Forgets what is kept of earlier passes: weights have changed, or may have.</summary>
    internal virtual void Forget()
    {
    }

    /// <summary>Sets the mode, and forgets what was kept in another one.</summary>
    /// <param name="train">Whether the adapter trains.</param>
    public override void train(bool train = true)
    {
        base.train(train);
        Forget();
    }
}
