using Lora.Llm;
using Lora.Llm.Tokenization;

namespace Lora.Fuzzing.Targets;

/// <summary><c>tokenizer.json</c> of every kind; those that are accepted must be able to work.</summary>
internal sealed class TokenizerTarget : FuzzTarget
{
    private const string Text = "A b  ab\u0301 12-x \u2581é\U0001F600<unk>.";

    internal override string Name => "tokenizer";

    internal override string Reads => "HuggingFaceTokenizer.FromStream, and of those accepted Encode, Decode of a short text";

    internal override IReadOnlyList<FuzzSeed> Seeds { get; } = [.. SmallTokenizers.All()];

    internal override string PlaceName => "tokenizer.json";

    // The text itself may become 256 times as long and 4096 characters more, before that is given up.
    internal override long FloorBytes => 1 << 20;

    internal override bool IsRejection(Exception exception) => exception is InvalidDataException or NotSupportedException;

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        using var stream = new MemoryStream(input);
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromStream(stream);
        try
        {
            TokenizerEncoding encoding = tokenizer.Encode(Text);
            if (encoding.Ids.Any(id => id < 0)) throw new InvalidOperationException("A text was given an id below 0.");
            _ = tokenizer.Decode(encoding.Ids);
        }
        catch (InvalidOperationException exception) when (exception.Message.StartsWith("The text holds ", StringComparison.Ordinal) || exception is RunawayTextException)
        {
            // A vocabulary may lack what the text holds, and steps may come too often.
        }
    }
}
