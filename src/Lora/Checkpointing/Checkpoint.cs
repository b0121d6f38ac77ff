using Lora.Checkpointing;
using static TorchSharp.torch;

namespace Lora;

/// <summary>
/// Gradient checkpointing: a block keeps its inputs alone between forward and backward, and backward runs it once more to have the rest (Chen et al. 2016, "Training Deep Nets with Sublinear
/// Memory Cost"). Memory is exchanged for the time of one further forward pass of the block.
/// </summary>
/// <remarks>
/// <para>The gradients are those of a block that keeps everything, also where it drops elements at random: the second run draws the numbers of the first. On other devices than the CPU the run
/// begins with a fresh seed, since TorchSharp gives no state of their generators.</para>
/// <para>All that the block computes with must be among <c>inputs</c> or belong to modules: a tensor that a closure holds may be disposed before backward comes, and gets its gradient
/// added to <see cref="Tensor.grad"/> directly. Buffers that a forward pass changes, such as running means of batch norms, are changed twice.</para>
/// <para>Between forward and backward the block must stay as it is: the mode of training, the active adapters, merging and the scopes of
/// <see cref="LoraModel{TModel}.UsePerSample"/> and its like. Backward fails where they changed, with a text that tells what; as with every exception inside of a
/// backward pass, TorchSharp ends the process then. The gradient of a gradient is not defined.</para>
/// </remarks>
public static class Checkpoint
{
    /// <summary>Runs a module, and runs it again in backward.</summary>
    /// <param name="module">The module.</param>
    /// <param name="input">Its input.</param>
    /// <returns>Its output.</returns>
    public static Tensor Run(nn.Module<Tensor, Tensor> module, Tensor input)
    {
        ArgumentNullException.ThrowIfNull(module);
        return Run(module, inputs => [module.call(inputs[0])], input)[0];
    }

    /// <summary>Runs a module of two inputs, and runs it again in backward.</summary>
    /// <param name="module">The module.</param>
    /// <param name="first">Its first input.</param>
    /// <param name="second">Its second input.</param>
    /// <returns>Its output.</returns>
    public static Tensor Run(nn.Module<Tensor, Tensor, Tensor> module, Tensor first, Tensor second)
    {
        ArgumentNullException.ThrowIfNull(module);
        return Run(module, inputs => [module.call(inputs[0], inputs[1])], first, second)[0];
    }

    /// <summary>Runs a part of a module, and runs it again in backward.</summary>
    /// <param name="owner">The module whose parameters and adapters the block uses. A block that uses no parameter of it that trains, and no input that requires a gradient, gives none.</param>
    /// <param name="block">The block: new tensors from the inputs. What else it makes is disposed.</param>
    /// <param name="inputs">All tensors that it computes with beside those of modules.</param>
    /// <returns>What the block returned.</returns>
    public static IReadOnlyList<Tensor> Run(nn.Module owner, Func<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>> block, params IReadOnlyList<Tensor> inputs)
    {
        ArgumentNullException.ThrowIfNull(owner);
        ArgumentNullException.ThrowIfNull(block);
        ArgumentNullException.ThrowIfNull(inputs);
        if (inputs.Any(input => input is null)) throw new ArgumentNullException(nameof(inputs), "An input is null: leave out what is not there.");
        return CheckpointPass.Run(owner, block, inputs);
    }
}
