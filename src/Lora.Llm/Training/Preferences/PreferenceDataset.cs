using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace Lora.Llm;

/// <summary>Preferences from a file with one JSON object a line: <c>{"prompt": …, "chosen": …, "rejected": …}</c>, all of them texts.</summary>
public sealed class PreferenceDataset : ITrainingData<PreferenceExample>
{
    private PreferenceDataset(string path, IReadOnlyList<PreferenceExample> examples, int skipped) => (Path, Examples, Skipped) = (path, examples, skipped);

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The preferences, in the file's order.</summary>
    public IReadOnlyList<PreferenceExample> Examples { get; }

    /// <summary>How many lines gave none, since within the largest length nothing was left of an answer, or the two did not differ.</summary>
    public int Skipped { get; }

    /// <summary>Reads and tokenises a file. Empty lines are passed over.</summary>
    /// <param name="path">The file, in UTF-8.</param>
    /// <param name="tokenizer">The model's tokenizer. Prompt and answer are tokenised together, as they will be read.</param>
    /// <param name="options">Lengths and the end token; null for the defaults. The prompt counts in neither answer, so <see cref="JsonlOptions.TrainOnPrompt"/> must be off.</param>
    /// <returns>The preferences, at least one.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">A line is no such object or not UTF-8, or holds what the tokenizer has no token for, or the file holds no preference; the message names file and line.</exception>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static PreferenceDataset Load(string path, Tokenizer tokenizer, JsonlOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(tokenizer);
        options ??= new JsonlOptions();
        options.Validate();
        if (options.TrainOnPrompt) throw new ArgumentException($"Both answers have the same prompt, so it says nothing about which is preferred: leave {nameof(JsonlOptions.TrainOnPrompt)} off.", nameof(options));
        if (!File.Exists(path)) throw new FileNotFoundException($"There is no data file '{path}'.", path);

        List<PreferenceExample> examples = [];
        int skipped = 0;
        foreach ((int number, string line) in Utf8Lines.Read(path))
        {
            if (string.IsNullOrWhiteSpace(line)) continue;
            if (examples.Count >= options.MaxExamples) break;
            (string prompt, string chosen, string rejected) = JsonlDataset.Parse(line, path, number, root => Texts(root, path, number));
            PreferenceExample example = JsonlDataset.Encoded(
                () => new PreferenceExample(JsonlDataset.Encode(new JsonlRecord(prompt, chosen), tokenizer, options), JsonlDataset.Encode(new JsonlRecord(prompt, rejected), tokenizer, options)), path, number);
            if (example.Chosen.LearnedTokens == 0 || example.Rejected.LearnedTokens == 0 || example.Chosen.InputIds.SequenceEqual(example.Rejected.InputIds)) skipped++;
            else examples.Add(example);
        }
        if (examples.Count == 0)
            throw new InvalidDataException(skipped == 0 ? $"{path} holds no preference." : $"{path} holds no preference: {skipped} lines were read, whose answers do not differ or have nothing left within {options.MaxLength} tokens.");
        return new PreferenceDataset(path, examples, skipped);
    }

    private static (string Prompt, string Chosen, string Rejected) Texts(JsonElement root, string path, int number)
    {
        if (root.ValueKind == JsonValueKind.Object && JsonlDataset.Text(root, "prompt") is string prompt && JsonlDataset.Text(root, "chosen") is string chosen && JsonlDataset.Text(root, "rejected") is string rejected)
            return (prompt, chosen, rejected);
        throw new InvalidDataException($"{path}, line {number}: found {JsonlDataset.Found(root)}, but each line must be an object with the texts \"prompt\", \"chosen\" and \"rejected\".");
    }
}
