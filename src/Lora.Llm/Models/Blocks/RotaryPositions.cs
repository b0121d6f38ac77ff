using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>
/// The tables of rotary position embedding (Su et al. 2021, "RoFormer"), in the layout of transformers: component i turns with component i + d/2.
/// </summary>
/// <remarks>No module, so that its tables are no part of the model's state. They grow when a longer text comes.</remarks>
internal sealed class RotaryPositions(RopeSettings settings, int headDimension) : IDisposable
{
    private readonly int _width = settings.WidthOf(headDimension);
    private Tensor? _cosine;
    private Tensor? _sine;
    private bool _isLong;

    /// <summary>The cosines and sines for a forward pass, each <c>[1 or batch, 1, length, d]</c>, in the current dispose scope.</summary>
    /// <param name="start">The first position, when <paramref name="positionIds"/> is null.</param>
    /// <param name="length">The number of positions.</param>
    /// <param name="positionIds">The positions, int64, shape <c>[1 or batch, length]</c>.</param>
    /// <param name="like">A tensor with the type and device to compute in.</param>
    /// <param name="cache">The keys before, which were turned already.</param>
    /// <exception cref="InvalidOperationException">Those keys were turned by other frequencies than a text of this length has.</exception>
    internal (Tensor Cosine, Tensor Sine) For(long start, long length, Tensor? positionIds, Tensor like, KeyValueCache? cache = null)
    {
        long end = positionIds is null ? start + length : positionIds.max().to(ScalarType.Int64).item<long>() + 1;
        bool isLong = end > settings.UsualPositions;
        if (cache is not null)
        {
            if (cache.Length > 0 && cache.IsLong != isLong)
                throw new InvalidOperationException($"Texts of more than {settings.UsualPositions} positions have other rotary frequencies, and the cache was filled for a shorter one: give the whole text again with an empty cache.");
            cache.IsLong = isLong;
        }
        Fill(end, isLong, like);
        if (positionIds is null)
            return (_cosine!.narrow(0, start, length).unsqueeze(0).unsqueeze(0).to(like.dtype), _sine!.narrow(0, start, length).unsqueeze(0).unsqueeze(0).to(like.dtype));
        long[] shape = [positionIds.shape[0], 1, length, _width];
        Tensor flat = positionIds.reshape(-1);
        return (_cosine!.index_select(0, flat).reshape(shape).to(like.dtype), _sine!.index_select(0, flat).reshape(shape).to(like.dtype));
    }

    /// <summary>Turns queries or keys by their positions.</summary>
    /// <param name="x">Shape <c>[batch, heads, length, d]</c>.</param>
    /// <param name="rotation">The tables from <see cref="For"/>, as wide as x or narrower: what they do not reach stays.</param>
    internal static Tensor Rotate(Tensor x, (Tensor Cosine, Tensor Sine) rotation)
    {
        long width = rotation.Cosine.shape[^1], rest = x.shape[^1] - width, half = width / 2;
        if (rest > 0) return cat([Rotate(x.narrow(-1, 0, width), rotation), x.narrow(-1, width, rest)], -1);
        Tensor turned = cat([x.narrow(-1, half, half).neg(), x.narrow(-1, 0, half)], -1);
        return x.mul(rotation.Cosine).add(turned.mul(rotation.Sine));
    }

    public void Dispose()
    {
        _cosine?.Dispose();
        _sine?.Dispose();
        _cosine = _sine = null;
    }

    private void Fill(long positions, bool isLong, Tensor like)
    {
        // float64 tables for float64 models, else float32 whatever the model's type, as in transformers.
        ScalarType type = like.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        if (_cosine is not null && _isLong == isLong && _cosine.shape[0] >= positions && _cosine.dtype == type && _cosine.device.ToString() == like.device.ToString()) return;
        Dispose();
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        long rows = Math.Max(positions, 64) * 2;
        Tensor frequencies = tensor(settings.Frequencies(_width, isLong), dtype: ScalarType.Float64).to(type);
        Tensor angles = outer(arange(rows, dtype: type), frequencies);
        Tensor doubled = cat([angles, angles], -1);
        using TorchSharp.Scalar amplitude = settings.Amplitude;
        _cosine = doubled.cos().mul(amplitude).to(like.device).DetachFromDisposeScope();
        _sine = doubled.sin().mul(amplitude).to(like.device).DetachFromDisposeScope();
        _isLong = isLong;
    }
}
