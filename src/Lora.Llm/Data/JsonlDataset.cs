using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace Lora.Llm;

/// <summary>
/// Examples from a file with one JSON object a line: <c>{"prompt": …, "completion": …}</c>, of which the completion is learned, or <c>{"text": …}</c>.
/// </summary>
public sealed partial class JsonlDataset : ITrainingData<TrainingExample>
{
    private JsonlDataset(string path, IReadOnlyList<TrainingExample> examples, IReadOnlyList<JsonlRecord> records, int skipped)
    {
        Path = path;
        Examples = examples;
        Records = records;
        Skipped = skipped;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The examples, in the file's order.</summary>
    public IReadOnlyList<TrainingExample> Examples { get; }

    /// <summary>The texts of the examples, in the same order.</summary>
    public IReadOnlyList<JsonlRecord> Records { get; }

    /// <summary>How many lines gave no example, since nothing to learn was left of them within the largest length.</summary>
    public int Skipped { get; }

    /// <summary>Reads and tokenises a file. Empty lines are passed over.</summary>
    /// <param name="path">The file, in UTF-8.</param>
    /// <param name="tokenizer">The model's tokenizer. Prompt and completion are tokenised together, as they will be read.</param>
    /// <param name="options">Lengths and labels; null for the defaults.</param>
    /// <returns>The examples, at least one.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">A line is no such object or not UTF-8, or holds what the tokenizer has no token for, or the file holds no example; the message names file and line.</exception>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static JsonlDataset Load(string path, Tokenizer tokenizer, JsonlOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(tokenizer);
        options ??= new JsonlOptions();
        options.Validate();
        return Read(path, options.MaxLength, options.MaxExamples, (line, number) =>
        {
            JsonlRecord record = Parse(line, path, number);
            return (Encode(record, tokenizer, options), record);
        });
    }

    private static JsonlDataset Read(string path, int maxLength, int? maxExamples, Func<string, int, (TrainingExample Example, JsonlRecord Record)> read)
    {
        if (!File.Exists(path)) throw new FileNotFoundException($"There is no data file '{path}'.", path);

        var examples = new List<TrainingExample>();
        var records = new List<JsonlRecord>();
        int skipped = 0;
        foreach ((int number, string line) in Utf8Lines.Read(path))
        {
            if (string.IsNullOrWhiteSpace(line)) continue;
            if (examples.Count >= maxExamples) break;
            (TrainingExample example, JsonlRecord record) = Encoded(() => read(line, number), path, number);
            if (example.LearnedTokens == 0)
            {
                skipped++;
                continue;
            }
            examples.Add(example);
            records.Add(record);
        }
        if (examples.Count == 0)
            throw new InvalidDataException(skipped == 0 ? $"{path} holds no example." : $"{path} holds no example: {skipped} lines were read, of which nothing to learn is left within {maxLength} tokens.");
        return new JsonlDataset(path, examples, records, skipped);
    }

    // A tokenizer without a token for what it does not know refuses such a text, and cannot know where it stands.
    internal static T Encoded<T>(Func<T> read, string path, int number)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException exception)
        {
            throw new InvalidDataException($"{path}, line {number}: {exception.Message}", exception);
        }
    }

    private static JsonlRecord Parse(string line, string path, int number) => Parse(line, path, number, root =>
    {
        if (root.ValueKind == JsonValueKind.Object)
        {
            if (Text(root, "prompt") is string prompt && Text(root, "completion") is string completion) return new JsonlRecord(prompt, completion);
            if (Text(root, "text") is string text) return new JsonlRecord("", text);
        }
        throw new InvalidDataException($"{path}, line {number}: found {Found(root)}, but each line must be an object with the texts \"prompt\" and \"completion\", or with the text \"text\".");
    });

    internal static T Parse<T>(string line, string path, int number, Func<JsonElement, T> read)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            return read(document.RootElement);
        }
        catch (JsonException exception)
        {
            // The message ends with a line number of its own, counted from 0 within this line.
            string reason = exception.Message.Split(" LineNumber:")[0];
            if (line.Trim() is "[" or "{") reason = "it begins a JSON text of several lines, but each line must be an object of its own (JSON Lines).";
            throw new InvalidDataException($"{path}, line {number}, byte {exception.BytePositionInLine + 1}: no valid JSON: {reason}", exception);
        }
        catch (InvalidOperationException exception)
        {
            // The parser looks at texts when they are asked for.
            throw new InvalidDataException($"{path}, line {number}: it holds half of a surrogate pair (\\uD800 to \\uDFFF alone), which is no text.", exception);
        }
    }

    internal static string Found(JsonElement element) => element.ValueKind == JsonValueKind.Object
        ? $"an object with {string.Join(", ", element.EnumerateObject().Select(p => $"\"{p.Name}\" ({p.Value.ValueKind})").DefaultIfEmpty("nothing"))}"
        : $"{element.ValueKind}";

    internal static string? Text(JsonElement root, string name) =>
        root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    internal static TrainingExample Encode(JsonlRecord record, Tokenizer tokenizer, JsonlOptions options)
    {
        List<int> ids = [.. tokenizer.EncodeToIds(record.Prompt + record.Completion)];
        int prompt = 0;
        if (record.Prompt.Length > 0 && !options.TrainOnPrompt)
        {
            // Up to the first difference: where the border falls into a token, that token belongs to the completion.
            IReadOnlyList<int> alone = tokenizer.EncodeToIds(record.Prompt);
            while (prompt < alone.Count && prompt < ids.Count && alone[prompt] == ids[prompt]) prompt++;
        }
        if (options.EndTokenId is int end && (ids.Count == 0 || ids[^1] != end)) ids.Add(end);
        if (ids.Count > options.MaxLength) ids.RemoveRange(options.MaxLength, ids.Count - options.MaxLength);
        int[] labels = [.. ids.Select((id, i) => i < prompt ? TrainingExample.IgnoredLabel : id)];
        return new TrainingExample(ids, labels);
    }
}
