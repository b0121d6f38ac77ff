namespace Lora.Llm.Tokenization;

/// <summary>A tokenizer's steps make a text far longer than any should, or take far longer over it.</summary>
internal sealed class RunawayTextException(string message, Exception? innerException = null) : InvalidOperationException(message, innerException)
{
    // The compatible Unicode forms make up to 18 characters of one, and the bytes of each are up to 3 more.
    private const int MostGrowth = 256;
    private const int MostForShort = 4096;

    /// <summary>The most characters that may become of a text.</summary>
    public static int MostOf(long length) => (int)Math.Min(Array.MaxLength / 2, (MostGrowth * length) + MostForShort);
}
