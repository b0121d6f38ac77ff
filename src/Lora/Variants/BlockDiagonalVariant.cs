using Lora.Layers;

namespace Lora.Variants;

/// <summary>
/// Block-diagonal adaptation (BD-LoRA): A or B is zero outside of n blocks along its diagonal, so that devices which hold shards of the weight exchange nothing for the adapter's sake (Wang
/// et al. 2025, "Block-Diagonal LoRA for Eliminating Communication Overhead in Tensor Parallel LoRA Serving", arXiv:2510.23346).
/// </summary>
/// <remarks>
/// The term is s·B·A·x as ever, and it merges so; only the blocks are held, trained and saved (see <see cref="BlockDiagonalOptions"/>), and only they are multiplied. A block-diagonal A is
/// drawn from U(−√(6n/in), √(6n/in)), as in PEFT. PEFT has it for layers that store their weight as <c>[out, in]</c> alone.
/// </remarks>
public sealed class BlockDiagonalVariant : LoraVariant
{
    internal BlockDiagonalVariant()
        : base(nameof(BlockDiagonalVariant))
    {
    }

    /// <inheritdoc/>
    public override string Title => BlockDiagonalKind.Instance.Title;

    internal override bool HasPlainPair => false;
}
