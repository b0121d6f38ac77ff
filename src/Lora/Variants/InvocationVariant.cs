using Lora.Invocation;
using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>
/// Activated adaptation: the term s·B·A·x is added on some positions of a text only, those from the beginning of the last occurrence of the invocation tokens on (Greenewald et al. 2025, "Activated LoRA:
/// Fine-tuned LLMs for Intrinsics", arXiv:2504.12397).
/// </summary>
/// <remarks>
/// <para>
/// What comes before the invocation is computed by the base model alone, keys and values included, so that a cache which the base model has filled can be used on, by several such adapters in turn. In a
/// sample without the invocation the adapter does nothing. It cannot be merged, since the weight is another one from position to position.
/// </para>
/// <para>
/// The token ids are those that the model is called with: its first argument that is an <see cref="ITokenInput"/> or an int64 or int32 tensor <c>[batch, length]</c>. For other models
/// <see cref="LoraModel{TModel}.WithTokens"/> names them. With a cache the tokens of earlier passes count too: an adapter that has been invoked stays so in the passes that extend the cache, and tokens that are generated
/// may invoke it; positions that are in the cache stay as they were computed. A layer's input has a batch, a length and a width; where it has fewer positions than there are tokens, they are the last ones. PEFT counts in the prompt alone.
/// </para>
/// </remarks>
public sealed class InvocationVariant : LoraVariant
{
    private TokenWatch? _watch;
    private IReadOnlyList<int> _tokens = [];

    internal InvocationVariant()
        : base(nameof(InvocationVariant))
    {
    }

    /// <inheritdoc/>
    public override string Title => InvocationKind.Instance.Title;

    /// <summary>The tokens behind which the adapter acts.</summary>
    public IReadOnlyList<int> InvocationTokens => _tokens;

    internal override string MergeObstacle => "has another weight behind the invocation tokens than before them (alora_invocation_tokens), which merging would make one: keep the adapter unmerged";

    /// <summary>Tells where the tokens of a pass are to be found.</summary>
    internal void Follow(TokenWatch watch, IReadOnlyList<int> tokens) => (_watch, _tokens) = (watch, tokens);

    internal override Tensor Add(Tensor sum, LoraAdapter adapter, Tensor output, Tensor input)
    {
        using var scope = NewDisposeScope();
        if (Places(adapter, input, null) is not Tensor places) return sum.add(adapter.Term(input)).MoveToOuterDisposeScope();
        Tensor term = TermAt(places, adapter, input);
        ScalarType wide = sum.dtype == term.dtype ? sum.dtype : promote_types(sum.dtype, term.dtype);
        return Added(sum.to(wide), places, term.to(wide)).MoveToOuterDisposeScope();
    }

    internal override Tensor Contribution(LoraAdapter adapter, Tensor input, long[]? samples)
    {
        using var scope = NewDisposeScope();
        if (Places(adapter, input, samples) is not Tensor places) return adapter.Term(input).MoveToOuterDisposeScope();
        Tensor term = TermAt(places, adapter, input);
        return Added(term.new_zeros([.. input.shape[..^1], term.shape[^1]]), places, term).MoveToOuterDisposeScope();
    }

    private static Tensor TermAt(Tensor places, LoraAdapter adapter, Tensor input) => adapter.Term(input.reshape(-1, input.shape[^1]).index_select(0, places));

    private static Tensor Added(Tensor sum, Tensor places, Tensor term) => sum.reshape(-1, sum.shape[^1]).index_add(0, places, term, 1).view(sum.shape);

    private Tensor? Places(LoraAdapter adapter, Tensor input, long[]? samples)
    {
        string name = $"Adapter '{adapter.AdapterName}' acts behind certain tokens (alora_invocation_tokens)";
        if (_watch?.Current is not SeenTokens seen)
        {
            throw new InvalidOperationException(
                $"{name}, but the token ids of this pass are not known: call the model itself by call() with an int64 tensor [batch, length] or an {nameof(ITokenInput)}, or name them with {nameof(LoraModel<nn.Module>.WithTokens)}.");
        }
        if (input.dim() is not (2 or 3)) throw new InvalidOperationException($"{name}, but a layer's input has the shape [{string.Join(", ", input.shape)}]: it must have a batch, a length and a width.");
        long expected = samples?.Length ?? seen.Count;
        if (input.shape[0] != expected) throw new InvalidOperationException($"{name}, and the tokens of {expected} samples are known, but a layer's input has {input.shape[0]} rows: a layer that mixes samples or positions cannot be adapted so.");
        return seen.Places(_tokens, samples, input.dim() == 3 ? input.shape[1] : 1, input.device);
    }
}
