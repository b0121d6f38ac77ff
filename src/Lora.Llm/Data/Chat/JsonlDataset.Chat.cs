using System.Text.Json;

namespace Lora.Llm;

public sealed partial class JsonlDataset
{
    /// <summary>
    /// Reads and tokenizes a file of conversations: <c>{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}</c>, one a line.
    /// The turns of the assistant and their end tokens are learned. Empty lines are passed over.
    /// </summary>
    /// <param name="path">The file, in UTF-8.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="template">How the model reads conversations.</param>
    /// <param name="options">Lengths and what is learned; null for the defaults.</param>
    /// <returns>The examples, at least one. In each of <see cref="Records"/> the completion is the last turn that is learned, the prompt is the template's text up to the header of that turn.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">A line is no such object, not UTF-8 or no conversation that the template can write, or holds what the tokenizer has no token for, or the file holds no example; the message names file and line.</exception>
    /// <exception cref="ArgumentException">An option is out of range, or the tokenizer lacks a token of the template.</exception>
    public static JsonlDataset LoadChat(string path, HuggingFaceTokenizer tokenizer, ChatTemplate template, ChatOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(template);
        options ??= new ChatOptions();
        options.Validate();
        return Read(path, options.MaxLength, options.MaxExamples, (line, number) =>
        {
            List<ChatMessage> messages = Parse(line, path, number, root => Messages(root, path, number));
            try
            {
                return (ChatEncoder.Example(messages, tokenizer, template, options), Record(messages, tokenizer, template, options));
            }
            catch (ArgumentException exception) when (exception.ParamName == "messages")
            {
                throw new InvalidDataException($"{path}, line {number}: {exception.Message.Replace(" (Parameter 'messages')", "", StringComparison.Ordinal)}", exception);
            }
        });
    }

    private static JsonlRecord Record(List<ChatMessage> messages, HuggingFaceTokenizer tokenizer, ChatTemplate template, ChatOptions options)
    {
        int last = messages.FindLastIndex(message => options.LearnedRoles.Contains(message.Role));
        IEnumerable<ChatSegment> before = template.SegmentsFor(tokenizer, messages, addGenerationPrompt: false).TakeWhile(segment => segment.Turn != last);
        return last < 0 ? new JsonlRecord("", "") : new JsonlRecord(string.Concat(before.Select(segment => segment.Text)), messages[last].Content);
    }

    private static List<ChatMessage> Messages(JsonElement root, string path, int number)
    {
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("messages", out JsonElement list) || list.ValueKind != JsonValueKind.Array)
            throw new InvalidDataException($"{path}, line {number}: found {Found(root)}, but each line must be an object with the list \"messages\".");
        var messages = new List<ChatMessage>();
        var problems = new List<string>();
        foreach (JsonElement item in list.EnumerateArray())
        {
            int place = messages.Count + problems.Count + 1;
            if (item.ValueKind != JsonValueKind.Object || Text(item, "role") is not string role || Text(item, "content") is not string content)
                problems.Add($"Message {place} is {Found(item)}, but must be an object with the texts \"role\" and \"content\".");
            else if (_unread.FirstOrDefault(name => item.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null) is string lost)
                problems.Add($"Message {place} has \"{lost}\", which no template here writes: put it into \"content\" as the model should see it, or leave it out.");
            else messages.Add(new ChatMessage(role, content));
        }
        return problems.Count == 0 ? messages : throw new InvalidDataException($"{path}, line {number}: the conversation cannot be read:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}");
    }

    // What the model would have to see and would be lost without a word.
    private static readonly string[] _unread = ["tool_calls", "reasoning_content", "function_call"];
}
