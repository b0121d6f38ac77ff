using Lora.Llm.Generation;
using Microsoft.ML.Tokenizers;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>Writes text with a model that turns one text into another.</summary>
public static class SequenceToSequenceGeneration
{
    /// <summary>Writes a text for each that is read, token by token, as transformers' <c>generate</c> does. Each text is read once.</summary>
    /// <param name="model">The model.</param>
    /// <param name="inputIds">Token ids of the texts to read, int64, shape <c>[batch, length]</c>.</param>
    /// <param name="options">How tokens are chosen and when a text ends; null for the defaults.</param>
    /// <param name="attentionMask">1 for tokens and 0 for padding, on either side, shape <c>[batch, length]</c>; null when there is no padding.</param>
    /// <param name="onTokens">Called with the new token of each row after each step.</param>
    /// <param name="cancellationToken">Stops between two tokens.</param>
    /// <returns>The start token and the new ones, shape <c>[batch, 1 + new]</c>; rows that ended early are filled with the pad token.</returns>
    /// <exception cref="ArgumentException">A setting is out of range, a shape is wrong, or a text holds a token that the vocabulary lacks.</exception>
    /// <exception cref="InvalidOperationException">The model's logits are no numbers.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Tensor Generate(
        this SequenceToSequenceModel model, Tensor inputIds, GenerationOptions? options = null, Tensor? attentionMask = null,
        Action<IReadOnlyList<long>>? onTokens = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        SequenceToSequenceInput.ThrowIfWrong(inputIds, attentionMask);
        options ??= new GenerationOptions();
        options.Validate();
        KnownTokens.ThrowIfUnknown(inputIds, options, model.VocabularySize, nameof(inputIds));
        bool training = model.training;
        model.eval();
        try
        {
            return Run(model, inputIds, options, attentionMask, onTokens, cancellationToken);
        }
        finally
        {
            if (training) model.train();
        }
    }

    /// <summary>Writes a text for one that is read.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="text">The text to read, with the task before it where the model wants one, such as <c>translate English to German: </c>.</param>
    /// <param name="options">How tokens are chosen and when the text ends; null for the defaults.</param>
    /// <param name="cancellationToken">Stops between two tokens.</param>
    /// <returns>What was written, without start, end and pad tokens.</returns>
    /// <exception cref="ArgumentException">A setting is out of range, or the text has no token, or one that the model's vocabulary lacks.</exception>
    /// <exception cref="InvalidOperationException">The model's logits are no numbers.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static string GenerateText(
        this SequenceToSequenceModel model, Tokenizer tokenizer, string text, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(text);
        return GenerateTexts(model, tokenizer, [text], options, cancellationToken)[0];
    }

    /// <summary>Writes a text for each of several that are read, the shorter padded on the right: one forward pass gives a token of each.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="texts">The texts to read.</param>
    /// <param name="options">How tokens are chosen and when a text ends; null for the defaults.</param>
    /// <param name="cancellationToken">Stops between two tokens.</param>
    /// <returns>What was written for each, without start, end and pad tokens.</returns>
    /// <exception cref="ArgumentException">A setting is out of range, or a text is null, has no token, or one that the model's vocabulary lacks.</exception>
    /// <exception cref="InvalidOperationException">The model's logits are no numbers.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static IReadOnlyList<string> GenerateTexts(
        this SequenceToSequenceModel model, Tokenizer tokenizer, IReadOnlyList<string> texts, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(texts);
        if (texts.Contains(null)) throw new ArgumentException("A text is null.", nameof(texts));
        int[][] rows = [.. texts.Select(text => tokenizer.EncodeToIds(text).ToArray())];
        if (Array.FindIndex(rows, row => row.Length == 0) is int empty and >= 0) throw new ArgumentException($"Text {empty} has no token.", nameof(texts));
        if (rows.Length == 0) return [];
        int length = rows.Max(row => row.Length);
        IReadOnlyList<int> ends = options?.EndTokenIds ?? model.EndTokenIds;
        using var scope = NewDisposeScope();
        Device device = model.parameters().First().device;
        Tensor? mask = Array.Exists(rows, row => row.Length < length) ? Of((row, i) => i < row.Length ? 1 : 0) : null;
        Tensor written = model.Generate(Of((row, i) => i < row.Length ? row[i] : model.PadTokenId), options, mask, cancellationToken: cancellationToken).cpu();
        return [.. rows.Select((_, i) => Decoded(written[i].data<long>().ToArray()[1..]))];

        Tensor Of(Func<int[], int, long> value) =>
            tensor(rows.SelectMany(row => Enumerable.Range(0, length).Select(i => value(row, i))).ToArray(), [rows.Length, length], dtype: ScalarType.Int64, device: device);

        string Decoded(IEnumerable<long> ids) => tokenizer.Decode(ids.Select(id => (int)id).TakeWhile(id => !ends.Contains(id)).Where(id => id != model.PadTokenId)) ?? "";
    }

    private static Tensor Run(
        SequenceToSequenceModel model, Tensor inputIds, GenerationOptions options, Tensor? attentionMask, Action<IReadOnlyList<long>>? onTokens, CancellationToken cancellationToken)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var picker = new TokenPicker(options);
        long batch = inputIds.shape[0];
        var ends = new RowEnds((int)batch, options.EndTokenIds ?? model.EndTokenIds, options.PadTokenId ?? model.PadTokenId);
        using SequenceToSequenceCache? cache = options.UseCache ? model.NewCache(options.MaxNewTokens) : null;
        Tensor encoded = model.Encode(inputIds, attentionMask);
        Tensor ids = full([batch, 1], model.DecoderStartTokenId, dtype: ScalarType.Int64, device: inputIds.device), seen = ids;
        for (int step = 0; step < options.MaxNewTokens && !ends.All; step++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            Tensor logits = model.call(new SequenceToSequenceInput(inputIds, seen) { AttentionMask = attentionMask, EncoderOutput = encoded, Cache = cache, LogitsToKeep = 1 });
            long[] next = picker.Pick(logits.select(1, 0));
            ends.Take(next);
            Tensor fresh = tensor(next, [batch, 1], dtype: ScalarType.Int64, device: ids.device);
            ids = RowEnds.Grown(ids, fresh);
            seen = cache is null ? ids : fresh.MoveToOuterDisposeScope();
            onTokens?.Invoke(next);
        }
        return ids.MoveToOuterDisposeScope();
    }
}
