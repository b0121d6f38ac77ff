using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Export;

/// <summary>
/// s·L·R for a tensor that is taken for a matrix with its first dimension as rows. With a magnitude m (DoRA) the sum is scaled to m ⊙ (W + s·L·R) / ‖W + s·L·R‖ afterwards.
/// </summary>
/// <param name="File">The adapter's file.</param>
/// <param name="Scale">The factor s.</param>
/// <param name="Left">The tensor of which L is made.</param>
/// <param name="Right">The tensor of which R is made; null for a vector, to which s·L is added.</param>
/// <param name="Kind">How the tensors stand in the file.</param>
internal sealed record LowRankUpdate(SafetensorsFile File, double Scale, string Left, string? Right, LowRankKind Kind)
{
    /// <summary>The tensor with m; null without DoRA.</summary>
    internal string? Magnitude { get; init; }

    /// <summary>Whether m belongs to the rows; otherwise to the columns.</summary>
    internal bool NormalizesRows => Kind == LowRankKind.OutFirst;

    /// <summary>Reads s·L, shape <c>[rows, r]</c>, into the current dispose scope.</summary>
    internal Tensor ReadLeft(ScalarType type)
    {
        Tensor left = File.ReadTensor(Left).to(type);
        return (Right is null ? left.reshape(-1, 1) : Kind == LowRankKind.OutFirst ? left.flatten(1) : left.t()).mul(Scale);
    }

    /// <summary>Reads R, shape <c>[r, columns]</c>, into the current dispose scope.</summary>
    internal Tensor ReadRight(ScalarType type)
    {
        if (Right is null) return ones(1, 1, dtype: type);
        Tensor right = File.ReadTensor(Right).to(type);
        return Kind == LowRankKind.OutFirst ? right.flatten(1) : right.t();
    }

    /// <summary>Reads m as a vector into the current dispose scope.</summary>
    internal Tensor ReadMagnitude(ScalarType type) => File.ReadTensor(Magnitude!).to(type).flatten();
}

/// <summary>Which side of a weight its outputs are.</summary>
internal enum LowRankKind
{
    /// <summary>W is <c>[out, in, …]</c>, a linear layer's weight or a kernel: L is B, R is A.</summary>
    OutFirst,

    /// <summary>W is <c>[in, out]</c>, or a table <c>[num, dim]</c>: L is Aᵀ, R is Bᵀ.</summary>
    InFirst,
}
