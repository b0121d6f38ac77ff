using Lora.Invocation;
using Lora.Layers;
using Lora.Variants;
using static TorchSharp.torch;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    private TokenWatch? _watch;

    /// <summary>
    /// Names the token ids of the passes until the answer is disposed, for adapters that act behind certain tokens (<see cref="LoraConfig.InvocationTokens"/>), where the model is not called with
    /// them: with embeddings, say, or with an object that is no <see cref="ITokenInput"/>. Scopes nest; inside one, what the model is called with does not matter.
    /// </summary>
    /// <param name="tokenIds">Token ids, int64 or int32, shape <c>[batch, length]</c>, up to the last position of the passes.</param>
    /// <returns>The scope; use it with <c>using</c>.</returns>
    /// <exception cref="ArgumentException">The ids have another shape or type.</exception>
    /// <exception cref="InvalidOperationException">No adapter waits for tokens.</exception>
    /// <example><c>using (lora.WithTokens(ids)) logits = model.call(embeddings);</c></example>
    public IDisposable WithTokens(Tensor tokenIds)
    {
        ThrowIfFinished();
        ArgumentNullException.ThrowIfNull(tokenIds);
        if (!TokenWatch.AreIds(tokenIds))
            throw new ArgumentException($"Token ids must be int64 or int32 of the shape [batch, length], but are {tokenIds.dtype} [{string.Join(", ", tokenIds.shape)}].", nameof(tokenIds));
        TokenWatch watch = _watch ?? throw new InvalidOperationException($"No adapter of the model waits for tokens: {nameof(WithTokens)} is for those with {nameof(LoraConfig.InvocationTokens)}.");
        SeenTokens named = watch.Name(tokenIds);
        return new Scope(() => watch.Withdraw(named));
    }

    /// <summary>Tells on how many of the last positions of each sample an adapter with <see cref="LoraConfig.InvocationTokens"/> acts, in the last pass or the present scope of <see cref="WithTokens"/>.</summary>
    /// <param name="name">The adapter's name.</param>
    /// <returns>For each sample, the number of positions from the invocation on, those of earlier passes into the same cache included; null where the tokens do not occur. Empty before the first pass.</returns>
    /// <exception cref="ArgumentException">There is no adapter of that name, or it waits for no tokens.</exception>
    public IReadOnlyList<long?> InvocationOffsets(string name)
    {
        LoraConfig config = ConfigOf(name);
        if (config.InvocationTokens.Count == 0) throw new ArgumentException($"Adapter '{name}' waits for no tokens: it acts on every position.", nameof(name));
        return _watch?.Last is SeenTokens seen ? [.. seen.Offsets(config.InvocationTokens).Select(offset => offset > 0 ? offset : (long?)null)] : [];
    }

    private void FollowTokens(string name)
    {
        if (_adapters[name].Config.InvocationTokens is not { Count: > 0 } tokens) return;
        _watch ??= new TokenWatch(_model);
        foreach (InvocationVariant variant in LoraLayers.Select(layer => layer.Adapters.Find(name)?.Variant).OfType<InvocationVariant>()) variant.Follow(_watch, tokens);
    }

    // The ids need not be read when nobody waits for them.
    private void ForgetTokens()
    {
        if (_adapters.Values.Any(adapter => adapter.Config.InvocationTokens.Count > 0)) return;
        _watch?.Dispose();
        _watch = null;
    }
}
