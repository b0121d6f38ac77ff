using static TorchSharp.torch;

namespace Lora.Llm.Generation;

/// <summary>Chooses the next token of each row from its logits.</summary>
internal sealed class TokenPicker(GenerationOptions options) : IDisposable
{
    // Drawn on the CPU, so that a seed gives the same text everywhere.
    private readonly Generator? _generator = options.Seed is long seed ? new Generator((ulong)seed) : null;

    /// <summary>Picks one token a row.</summary>
    /// <param name="logits">Shape <c>[batch, vocabulary]</c>.</param>
    /// <exception cref="InvalidOperationException">The largest of a row is no number.</exception>
    internal long[] Pick(Tensor logits)
    {
        using var scope = NewDisposeScope();
        if (options.Temperature <= 0)
        {
            Tensor chosen = logits.argmax(-1, keepdim: true);
            ThrowIfNotFinite(logits.gather(-1, chosen), logits.dtype);
            return chosen.reshape(-1).cpu().data<long>().ToArray();
        }

        Tensor scores = logits.to(ScalarType.Float32).cpu();
        Tensor largest = scores.amax([-1], keepdim: true);
        ThrowIfNotFinite(largest, logits.dtype);
        // Less the largest, so that no temperature, however low, makes infinities.
        scores = scores.sub(largest).div(options.Temperature);
        if (options.TopK > 0 && options.TopK < scores.shape[1])
        {
            (Tensor best, _) = scores.topk(options.TopK, -1);
            scores = scores.masked_fill(scores.lt(best.narrow(1, options.TopK - 1, 1)), float.NegativeInfinity);
        }
        if (options.TopP < 1) scores = scores.masked_fill(OutsideNucleus(scores), float.NegativeInfinity);
        return scores.softmax(-1).multinomial(1, replacement: false, _generator!).reshape(-1).data<long>().ToArray();
    }

    public void Dispose() => _generator?.Dispose();

    // A NaN is larger than every number here, so that the largest tells.
    private static void ThrowIfNotFinite(Tensor largest, ScalarType type)
    {
        bool[] finite = largest.isfinite().reshape(-1).cpu().data<bool>().ToArray();
        if (Array.IndexOf(finite, false) is not (>= 0 and int row)) return;
        string half = type == ScalarType.Float16 ? ", or load the model in BFloat16 or Float32, since Float16 ends at 65504" : "";
        throw new InvalidOperationException($"The logits of row {row} hold a NaN or an infinity, so that no token can be chosen: look for such numbers in the weights and in the adapters{half}.");
    }

    // The token that crosses the threshold stays, so that there is always one: also where float32 rounds the threshold to 0.
    private Tensor OutsideNucleus(Tensor scores)
    {
        (Tensor sorted, Tensor order) = scores.sort(-1, descending: true);
        Tensor probabilities = sorted.softmax(-1);
        Tensor before = probabilities.cumsum(-1).sub(probabilities);
        Tensor outside = before.ge(options.TopP).logical_and(before.gt(0));
        return zeros_like(outside).scatter(-1, order, outside);
    }
}
