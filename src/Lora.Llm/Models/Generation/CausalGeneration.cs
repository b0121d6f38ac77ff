using Lora.Llm.Generation;
using Microsoft.ML.Tokenizers;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>Generates text with a causal language model.</summary>
public static class CausalGeneration
{
    /// <summary>Continues prompts token by token, as transformers' <c>generate</c> does.</summary>
    /// <param name="model">The model.</param>
    /// <param name="promptIds">Token ids, int64, shape <c>[batch, length]</c>.</param>
    /// <param name="options">How tokens are chosen and when a text ends; null for the defaults.</param>
    /// <param name="attentionMask">1 for tokens and 0 for padding on the left, shape <c>[batch, length]</c>; null when there is no padding.</param>
    /// <param name="onTokens">Called with the new token of each row after each step.</param>
    /// <param name="cancellationToken">Stops between two tokens.</param>
    /// <returns>The prompts with the new tokens, shape <c>[batch, length + new]</c>; rows that ended early are filled with the pad token.</returns>
    /// <exception cref="ArgumentException">A setting is out of range, a shape is wrong, a prompt is padded on the right or holds a token that the vocabulary lacks.</exception>
    /// <exception cref="InvalidOperationException">The model's logits are no numbers.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Tensor Generate(
        this CausalLanguageModel model, Tensor promptIds, GenerationOptions? options = null, Tensor? attentionMask = null,
        Action<IReadOnlyList<long>>? onTokens = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(promptIds);
        options ??= new GenerationOptions();
        options.Validate();
        if (promptIds.dim() != 2 || promptIds.shape[1] == 0)
            throw new ArgumentException($"The prompt must have the shape [batch, length] with at least one token, but has [{string.Join(", ", promptIds.shape)}].", nameof(promptIds));
        if (attentionMask is not null && !attentionMask.shape.SequenceEqual(promptIds.shape))
            throw new ArgumentException($"The mask must have the prompt's shape [{string.Join(", ", promptIds.shape)}], but has [{string.Join(", ", attentionMask.shape)}].", nameof(attentionMask));
        if (attentionMask is not null && EndsWithPadding(attentionMask))
            throw new ArgumentException("A prompt ends with padding, which would be continued: pad prompts on the left.", nameof(attentionMask));
        KnownTokens.ThrowIfUnknown(promptIds, options, model.VocabularySize, nameof(promptIds));

        bool training = model.training;
        model.eval();
        try
        {
            return Run(model, promptIds, options, attentionMask, onTokens, cancellationToken);
        }
        finally
        {
            if (training) model.train();
        }
    }

    /// <summary>Continues a text.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="prompt">The text to continue.</param>
    /// <param name="options">How tokens are chosen and when the text ends; null for the defaults.</param>
    /// <param name="cancellationToken">Stops between two tokens.</param>
    /// <returns>What was added, without the prompt and without the end token.</returns>
    /// <exception cref="ArgumentException">A setting is out of range, or the prompt has no token, or one that the model's vocabulary lacks.</exception>
    /// <exception cref="InvalidOperationException">The model's logits are no numbers.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static string GenerateText(
        this CausalLanguageModel model, Tokenizer tokenizer, string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(prompt);
        int[] ids = [.. tokenizer.EncodeToIds(prompt)];
        if (ids.Length == 0) throw new ArgumentException("The prompt has no token: give at least the one that begins a text.", nameof(prompt));
        return Continue(model, tokenizer, [ids], options ?? new GenerationOptions(), cancellationToken)[0];
    }

    /// <summary>Continues several texts at once, the shorter prompts padded on the left: one forward pass gives a token of each.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="prompts">The texts to continue.</param>
    /// <param name="options">How tokens are chosen and when a text ends; null for the defaults.</param>
    /// <param name="cancellationToken">Stops between two tokens.</param>
    /// <returns>What was added to each prompt, without the prompt and without the end token.</returns>
    /// <exception cref="ArgumentException">A setting is out of range, or a prompt is null, has no token, or one that the model's vocabulary lacks.</exception>
    /// <exception cref="InvalidOperationException">The model's logits are no numbers.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static IReadOnlyList<string> GenerateTexts(
        this CausalLanguageModel model, Tokenizer tokenizer, IReadOnlyList<string> prompts, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(prompts);
        if (prompts.Contains(null)) throw new ArgumentException("A prompt is null.", nameof(prompts));
        int[][] rows = [.. prompts.Select(prompt => tokenizer.EncodeToIds(prompt).ToArray())];
        if (Array.FindIndex(rows, row => row.Length == 0) is int empty and >= 0)
            throw new ArgumentException($"Prompt {empty} has no token: give at least the one that begins a text.", nameof(prompts));
        return rows.Length == 0 ? [] : Continue(model, tokenizer, rows, options ?? new GenerationOptions(), cancellationToken);
    }

    private static string[] Continue(
        CausalLanguageModel model, Tokenizer tokenizer, int[][] rows, GenerationOptions options, CancellationToken cancellationToken)
    {
        int length = rows.Max(row => row.Length);
        IReadOnlyList<int> ends = options.EndTokenIds ?? model.EndTokenIds;
        int pad = options.PadTokenId ?? (ends.Count > 0 ? ends[0] : 0);
        using var scope = NewDisposeScope();
        Device device = model.parameters().First().device;
        Tensor ids = Of((row, i) => i < 0 ? pad : row[i]);
        Tensor? mask = Array.Exists(rows, row => row.Length < length) ? Of((_, i) => i < 0 ? 0 : 1) : null;
        Tensor all = model.Generate(ids, options, mask, cancellationToken: cancellationToken).cpu();
        return [.. rows.Select((row, i) => Added(tokenizer, row, all[i].data<long>().ToArray()[length..], ends))];

        // Counted from the first token of the row, so that padding has numbers below 0.
        Tensor Of(Func<int[], int, long> value) => tensor(
            rows.SelectMany(row => Enumerable.Range(row.Length - length, length).Select(i => value(row, i))).ToArray(), [rows.Length, length], dtype: ScalarType.Int64, device: device);
    }

    private static string Added(Tokenizer tokenizer, int[] prompt, long[] generated, IReadOnlyList<int> ends)
    {
        int[] added = [.. generated.Select(id => (int)id).TakeWhile(id => !ends.Contains(id))];

        // Decoded with the prompt before it: a tokenizer treats the first token of a text in its own way.
        string before = tokenizer.Decode(prompt) ?? "";
        string whole = tokenizer.Decode(prompt.Concat(added)) ?? "";
        return whole.StartsWith(before, StringComparison.Ordinal) ? whole[before.Length..] : tokenizer.Decode(added) ?? "";
    }

    private static Tensor Run(
        CausalLanguageModel model, Tensor promptIds, GenerationOptions options, Tensor? attentionMask, Action<IReadOnlyList<long>>? onTokens, CancellationToken cancellationToken)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var picker = new TokenPicker(options);
        IReadOnlyList<int> ends = options.EndTokenIds ?? model.EndTokenIds;
        long pad = options.PadTokenId ?? (ends.Count > 0 ? ends[0] : 0);
        int batch = (int)promptIds.shape[0], length = (int)promptIds.shape[1];
        var rows = new RowEnds(batch, ends, pad);
        using KeyValueCache? cache = options.UseCache ? model.NewCache((int)Math.Min(int.MaxValue, (long)length + options.MaxNewTokens)) : null;

        Tensor ids = promptIds.alias(), seen = ids;
        Tensor? mask = attentionMask?.to(ScalarType.Int64, copy: true);
        // Where the positions of long texts are told apart in another way, the keys of the short text are of no use any more.
        long? anew = model.UsualPositions is long limit ? limit + 1 - Longest(mask, length) : null;
        for (int step = 0; step < options.MaxNewTokens && !rows.All; step++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            if (step > 0 && step == anew && cache is not null)
            {
                cache.Clear();
                seen = ids;
            }
            Tensor logits = model.call(new CausalInput(seen) { AttentionMask = mask, PositionIds = Positions(mask, seen.shape[1]), Cache = cache, LogitsToKeep = 1 });
            long[] next = picker.Pick(logits.select(1, 0));
            rows.Take(next);
            Tensor fresh = tensor(next, [batch, 1], dtype: ScalarType.Int64, device: ids.device);
            ids = RowEnds.Grown(ids, fresh);
            if (mask is not null) mask = RowEnds.Grown(mask, ones_like(fresh));
            seen = cache is null ? ids : fresh.MoveToOuterDisposeScope();
            onTokens?.Invoke(next);
        }
        return ids.MoveToOuterDisposeScope();
    }

    // The number of positions of the longest row.
    private static long Longest(Tensor? mask, long length)
    {
        using var scope = NewDisposeScope();
        return mask is null ? length : mask.sum(1, keepdim: false).max().item<long>();
    }

    private static bool EndsWithPadding(Tensor mask)
    {
        using var scope = NewDisposeScope();
        return mask.select(1, mask.shape[1] - 1).eq(0).any().item<bool>();
    }

    // Padding on the left takes no positions; those of the padding itself do not matter.
    private static Tensor? Positions(Tensor? mask, long length)
    {
        if (mask is null) return null;
        Tensor positions = mask.cumsum(-1).sub(1).clamp_min(0);
        return positions.narrow(1, positions.shape[1] - length, length);
    }
}
