using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>
/// The tables of rotary position embedding (Su et al. 2021, "RoFormer"), in the layout of transformers: component i turns with component i + d/2.
/// </summary>
/// <remarks>No module, so that its tables are no part of the model's state. They grow when a longer text comes.</remarks>
internal sealed class RotaryPositions(RopeSettings settings, int headDimension) : IDisposable
{
    private Tensor? _cosine;
    private Tensor? _sine;

    /// <summary>The cosines and sines for a forward pass, each <c>[1 or batch, 1, length, d]</c>, in the current dispose scope.</summary>
    /// <param name="start">The first position, when <paramref name="positionIds"/> is null.</param>
    /// <param name="length">The number of positions.</param>
    /// <param name="positionIds">The positions, int64, shape <c>[1 or batch, length]</c>.</param>
    /// <param name="like">A tensor with the type and device to compute in.</param>
    internal (Tensor Cosine, Tensor Sine) For(long start, long length, Tensor? positionIds, Tensor like)
    {
        if (positionIds is null)
        {
            Fill(start + length, like);
            return (_cosine!.narrow(0, start, length).unsqueeze(0).unsqueeze(0).to(like.dtype), _sine!.narrow(0, start, length).unsqueeze(0).unsqueeze(0).to(like.dtype));
        }
        Fill(positionIds.max().to(ScalarType.Int64).item<long>() + 1, like);
        long[] shape = [positionIds.shape[0], 1, length, headDimension];
        Tensor flat = positionIds.reshape(-1);
        return (_cosine!.index_select(0, flat).reshape(shape).to(like.dtype), _sine!.index_select(0, flat).reshape(shape).to(like.dtype));
    }

    /// <summary>Turns queries or keys by their positions.</summary>
    /// <param name="x">Shape <c>[batch, heads, length, d]</c>.</param>
    /// <param name="rotation">The tables from <see cref="For"/>.</param>
    internal static Tensor Rotate(Tensor x, (Tensor Cosine, Tensor Sine) rotation)
    {
        long half = x.shape[^1] / 2;
        Tensor turned = cat([x.narrow(-1, half, half).neg(), x.narrow(-1, 0, half)], -1);
        return x.mul(rotation.Cosine).add(turned.mul(rotation.Sine));
    }

    public void Dispose()
    {
        _cosine?.Dispose();
        _sine?.Dispose();
        _cosine = _sine = null;
    }

    private void Fill(long positions, Tensor like)
    {
        // float64 tables for float64 models, else float32 whatever the model's type, as in transformers.
        ScalarType type = like.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        if (_cosine is not null && _cosine.shape[0] >= positions && _cosine.dtype == type && _cosine.device.ToString() == like.device.ToString()) return;
        Dispose();
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        long rows = Math.Max(positions, 64) * 2;
        Tensor frequencies = tensor(settings.Frequencies(headDimension), dtype: ScalarType.Float64).to(type);
        Tensor angles = outer(arange(rows, dtype: type), frequencies);
        Tensor doubled = cat([angles, angles], -1);
        _cosine = doubled.cos().to(like.device).DetachFromDisposeScope();
        _sine = doubled.sin().to(like.device).DetachFromDisposeScope();
    }
}
