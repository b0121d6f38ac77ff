using System.Text.RegularExpressions;
using Lora.Llm;

namespace Gpt2Letters;

/// <summary>What the model writes behind the first words of held-out texts.</summary>
internal sealed partial class Continuations(HuggingFaceTokenizer tokenizer, IReadOnlyList<JsonlRecord> heldOut, int count)
{
    // As far as the first line goes, or three words where there is one line alone.
    internal IReadOnlyList<string> Openings { get; } =
        [.. heldOut.Select(record => Opening(record.Completion)).Distinct(StringComparer.Ordinal).Take(count)];

    /// <summary>The openings with what the model adds, drawn by the same random numbers each time.</summary>
    internal IReadOnlyList<string> Write(CausalLanguageModel model, CancellationToken cancellationToken)
    {
        var options = new GenerationOptions { MaxNewTokens = 60, Temperature = 0.7, Seed = 3, EndTokenIds = tokenizer.EosId is int end ? [end] : null };
        return [.. Openings.Zip(model.GenerateTexts(tokenizer, Openings, options, cancellationToken), (opening, added) => opening + added)];
    }

    /// <summary>How many have the form of a letter: name, three sentences, and who wrote it.</summary>
    internal static int Letters(IEnumerable<string> texts) => texts.Count(text => Letter().IsMatch(text));

    private static string Opening(string text)
    {
        int line = text.IndexOf('\n', StringComparison.Ordinal);
        return line > 0 ? text[..line] : string.Join(' ', text.Split(' ').Take(3));
    }

    [GeneratedRegex(@"^Dear \w+,\nI am \w+ the \w+\. [^\n]+[.!?] [^\n]+[.!?]\nYour friend \w+$")]
    private static partial Regex Letter();
}
