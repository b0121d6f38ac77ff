using System.Collections.ObjectModel;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>Tokenized texts as rows of one length, with a mask that tells tokens from padding. Batches do not change.</summary>
public sealed class TokenizerBatch
{
    private readonly int[][] _ids;
    private readonly int[][] _mask;
    private readonly int[][] _typeIds;

    private TokenizerBatch(ReadOnlyCollection<TokenizerEncoding> encodings, int length, int padId, PaddingOptions options)
    {
        Encodings = encodings;
        Length = length;
        _ids = Rows(encoding => encoding.Ids, padId);
        _mask = Rows(encoding => Enumerable.Repeat(1, encoding.Count), 0);
        _typeIds = Rows(encoding => encoding.TypeIds, options.PadTypeId);
        Ids = ReadOnly(_ids);
        AttentionMask = ReadOnly(_mask);
        TypeIds = ReadOnly(_typeIds);

        int[][] Rows(Func<TokenizerEncoding, IEnumerable<int>> values, int pad) => [.. encodings.Select(encoding =>
        {
            IEnumerable<int> padding = Enumerable.Repeat(pad, length - encoding.Count);
            return options.Side == PaddingSide.Left ? padding.Concat(values(encoding)).ToArray() : [.. values(encoding), .. padding];
        })];
    }

    /// <summary>How many rows there are.</summary>
    public int Count => Encodings.Count;

    /// <summary>How long every row is.</summary>
    public int Length { get; }

    /// <summary>The rows before padding, with tokens and offsets.</summary>
    public IReadOnlyList<TokenizerEncoding> Encodings { get; }

    /// <summary>The ids of each row.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Ids { get; }

    /// <summary>1 for every token of each row, special ones included, and 0 for padding.</summary>
    public IReadOnlyList<IReadOnlyList<int>> AttentionMask { get; }

    /// <summary>The type ids of each row.</summary>
    public IReadOnlyList<IReadOnlyList<int>> TypeIds { get; }

    /// <summary>Brings tokenized texts to one length.</summary>
    /// <param name="encodings">The texts; none gives a batch without rows.</param>
    /// <param name="options">How; <see cref="PaddingOptions.PadId"/> has to be set here.</param>
    /// <returns>The batch.</returns>
    /// <exception cref="ArgumentException"><paramref name="options"/> lacks the pad id, or a text is longer than the length asked for.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A length or the multiple in <paramref name="options"/> is not positive.</exception>
    public static TokenizerBatch Pad(IEnumerable<TokenizerEncoding> encodings, PaddingOptions options)
    {
        ArgumentNullException.ThrowIfNull(encodings);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.MultipleOf);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.Length ?? 1);
        int padId = options.PadId ?? throw new ArgumentException("PaddingOptions.PadId is not set. Set it, or pad through HuggingFaceTokenizer.EncodeBatch, which knows the tokenizer's own.", nameof(options));
        TokenizerEncoding[] rows = [.. encodings];
        int longest = rows.Length == 0 ? 0 : rows.Max(row => row.Count);
        int length = options.Length ?? longest;
        length = checked((length + options.MultipleOf - 1) / options.MultipleOf * options.MultipleOf);
        return longest <= length
            ? new TokenizerBatch(Array.AsReadOnly(rows), length, padId, options)
            : throw new ArgumentException(
                $"Text {Array.FindIndex(rows, row => row.Count > length)} has {rows.First(row => row.Count > length).Count} tokens, more than the {length} asked for. Truncate with maxLength, or leave PaddingOptions.Length null.",
                nameof(encodings));
    }

    /// <summary>The ids as a tensor.</summary>
    /// <param name="device">Where it is made; the CPU when null.</param>
    /// <returns>A new int64 tensor of shape <c>[Count, Length]</c>, which the caller owns.</returns>
    public Tensor IdsTensor(Device? device = null) => Of(_ids, device);

    /// <summary>The attention mask as a tensor.</summary>
    /// <param name="device">Where it is made; the CPU when null.</param>
    /// <returns>A new int64 tensor of shape <c>[Count, Length]</c>, which the caller owns.</returns>
    public Tensor AttentionMaskTensor(Device? device = null) => Of(_mask, device);

    /// <summary>The type ids as a tensor.</summary>
    /// <param name="device">Where it is made; the CPU when null.</param>
    /// <returns>A new int64 tensor of shape <c>[Count, Length]</c>, which the caller owns.</returns>
    public Tensor TypeIdsTensor(Device? device = null) => Of(_typeIds, device);

    /// <summary>The shape.</summary>
    public override string ToString() => $"{Count} × {Length} tokens";

    private static ReadOnlyCollection<IReadOnlyList<int>> ReadOnly(int[][] rows) =>
        Array.AsReadOnly(Array.ConvertAll<int[], IReadOnlyList<int>>(rows, Array.AsReadOnly));

    private Tensor Of(int[][] rows, Device? device)
    {
        long[] values = [.. rows.SelectMany(row => row)];
        return tensor(values, [Count, Length], dtype: ScalarType.Int64, device: device);
    }
}
