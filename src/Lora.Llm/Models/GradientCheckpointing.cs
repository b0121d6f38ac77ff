namespace Lora.Llm;

/// <summary>
/// Which blocks of a model keep their inputs alone between forward and backward and run once more in backward, so that a training takes less memory and more time: each such block costs one
/// further forward pass of it. See <see cref="Checkpoint"/>.
/// </summary>
public abstract record GradientCheckpointing
{
    // Closed: what a choice may know of the blocks is internal.
    private protected GradientCheckpointing()
    {
    }

    /// <summary>No block runs twice.</summary>
    public static GradientCheckpointing None { get; } = new FirstBlocks(0);

    /// <summary>Every block runs twice.</summary>
    public static GradientCheckpointing EveryBlock { get; } = new FirstBlocks(int.MaxValue);

    /// <summary>The first of every so many blocks runs twice.</summary>
    /// <param name="blocks">The number of blocks of which one runs twice; 1 is <see cref="EveryBlock"/>.</param>
    /// <returns>The choice.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number is not positive.</exception>
    public static GradientCheckpointing OneIn(int blocks)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(blocks);
        return new OneOfSeveral(blocks);
    }

    /// <summary>
    /// As few blocks run twice as what all blocks keep needs to fit: the first ones, since what the last ones keep is free again when backward comes to the first.
    /// It is found out for each forward pass, from its batch and length.
    /// </summary>
    /// <remarks>
    /// The size is an estimate from the shape of the model, the adapters and the batch; nothing is measured. Embedding, logits, weights, gradients and the optimizer's numbers are not in it. Where not
    /// even running all blocks twice is enough, they all do.
    /// </remarks>
    /// <param name="bytes">The bytes that the blocks may keep between forward and backward.</param>
    /// <returns>The choice.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number is negative.</exception>
    public static GradientCheckpointing WithinBudget(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        return new Budget(bytes);
    }

    /// <summary>Tells which blocks run twice.</summary>
    /// <param name="blocks">The number of blocks.</param>
    /// <param name="sizes">What a block keeps: all of its tensors, or its inputs alone.</param>
    internal abstract Func<int, bool> Choose(int blocks, Func<(long Whole, long Input)> sizes);

    private sealed record FirstBlocks(int Count) : GradientCheckpointing
    {
        internal override Func<int, bool> Choose(int blocks, Func<(long Whole, long Input)> sizes) => block => block < Count;
    }

    private sealed record OneOfSeveral(int Several) : GradientCheckpointing
    {
        internal override Func<int, bool> Choose(int blocks, Func<(long Whole, long Input)> sizes) => block => block % Several == 0;
    }

    private sealed record Budget(long Bytes) : GradientCheckpointing
    {
        internal override Func<int, bool> Choose(int blocks, Func<(long Whole, long Input)> sizes)
        {
            (long whole, long input) = sizes();
            int twice = 0;
            // A block that runs again has the whole of it once more, beside the inputs of those before it.
            while (twice < blocks && ((blocks - twice) * whole) + (twice * input) > Bytes) twice++;
            return block => block < twice;
        }
    }
}
