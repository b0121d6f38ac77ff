namespace Lora.Llm;

/// <summary>
/// How a model's makers write a conversation as one text: the same text as the Jinja template that they publish in <c>tokenizer_config.json</c>, for conversations without tools.
/// </summary>
/// <remarks>
/// The markers that are tokens become these tokens' ids. What the messages say is always text: <c>&lt;|im_end|&gt;</c> in a message is tokenized letter by letter,
/// so that no message can end its turn or begin another. That is stricter than tokenizing the text of <see cref="Render"/>. Where a template's markers
/// are themselves text and no tokens (<c>[INST]</c> of llama-2, <c>&lt;|user|&gt;</c> of zephyr), nothing can tell them from the same text in a message.
/// </remarks>
public abstract class ChatTemplate
{
    /// <summary>The role of the model.</summary>
    public const string Assistant = "assistant";

    internal const string System = "system", User = "user";

    internal static readonly IReadOnlyList<string> AllRoles = [System, User, Assistant];

    private static readonly ChatTemplate[] _all =
    [
        new ChatMlTemplate("chatml", null), new ChatMlTemplate("qwen2", "You are a helpful assistant."), new Qwen3Template(), new Llama2Template(), new Llama3Template(),
        new MistralTemplate(), new GemmaTemplate(), new Phi3Template(), new ZephyrTemplate(),
    ];

    private protected ChatTemplate(string name, string? bos, string? eos, bool hasSystem, bool alternates)
    {
        Name = name;
        Roles = hasSystem ? AllRoles : [User, Assistant];
        (DefaultBos, DefaultEos) = (bos, eos);
        Alternates = alternates;
    }

    /// <summary>The names that <see cref="Named"/> takes.</summary>
    public static IReadOnlyList<string> Names => [.. _all.Select(template => template.Name)];

    /// <summary>The template's name.</summary>
    public string Name { get; }

    /// <summary>The roles that it can write.</summary>
    public IReadOnlyList<string> Roles { get; }

    // The names of the first and last token in the makers' own tokenizer; null where the template writes none.
    internal string? DefaultBos { get; }

    internal string? DefaultEos { get; }

    // Whether the roles must be user, assistant, user, … behind an optional system message.
    private bool Alternates { get; }

    /// <summary>Finds a template by its name.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <returns>The template.</returns>
    /// <exception cref="ArgumentException">There is none of this name; the message lists all.</exception>
    public static ChatTemplate Named(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return _all.FirstOrDefault(template => template.Name == name)
            ?? throw new ArgumentException($"There is no chat template '{name}'; there are {string.Join(", ", Names)}.", nameof(name));
    }

    /// <summary>Writes a conversation as text, for people to read. To tokenize one, use <see cref="Encode"/>.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="addGenerationPrompt">Whether the text goes on to where the assistant's next turn begins. Default: false.</param>
    /// <param name="bos">The tokenizer's token for the beginning of a text; null for that of the template's makers.</param>
    /// <param name="eos">The tokenizer's token for the end of a text; null for that of the template's makers.</param>
    /// <returns>The text, the token for the beginning included where the template has one.</returns>
    /// <exception cref="ArgumentException">The template cannot write this conversation; every problem is listed.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt = false, string? bos = null, string? eos = null) =>
        string.Concat(Segments(messages, addGenerationPrompt, bos ?? DefaultBos ?? "", eos ?? DefaultEos ?? "").Select(segment => segment.Text));

    /// <summary>Tokenizes a conversation, for the model to go on with. No token is put around it but those of the template.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="addGenerationPrompt">Whether the text goes on to where the assistant's next turn begins. Default: true.</param>
    /// <returns>The ids.</returns>
    /// <exception cref="ArgumentException">The template cannot write this conversation, or the tokenizer lacks a token of the template; every problem is listed.</exception>
    public IReadOnlyList<int> Encode(IReadOnlyList<ChatMessage> messages, HuggingFaceTokenizer tokenizer, bool addGenerationPrompt = true)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return ChatEncoder.Encode(SegmentsFor(tokenizer, messages, addGenerationPrompt), tokenizer, this).Ids;
    }

    internal IReadOnlyList<ChatSegment> SegmentsFor(HuggingFaceTokenizer tokenizer, IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt) => Segments(
        messages, addGenerationPrompt, DefaultBos is null ? "" : tokenizer.Names.Bos ?? DefaultBos, DefaultEos is null ? "" : tokenizer.Names.Eos ?? DefaultEos);

    private protected abstract void Write(ChatWriter writer, IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt);

    // As Jinja's trim and Python's strip, which also take four control characters that .NET does not count as white space.
    private protected static string Trim(string text)
    {
        int start = 0, end = text.Length;
        while (start < end && IsSpace(text[start])) start++;
        while (end > start && IsSpace(text[end - 1])) end--;
        return text[start..end];

        static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\u001c' and <= '\u001f';
    }

    private IReadOnlyList<ChatSegment> Segments(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt, string bos, string eos)
    {
        ArgumentNullException.ThrowIfNull(messages);
        List<string> problems = Problems(messages);
        if (problems.Count > 0)
            throw new ArgumentException($"The chat template '{Name}' cannot write this conversation:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}", nameof(messages));
        var writer = new ChatWriter(bos, eos);
        Write(writer, messages, addGenerationPrompt);
        return writer.Segments;
    }

    private List<string> Problems(IReadOnlyList<ChatMessage> messages)
    {
        var problems = new List<string>();
        if (messages.Count == 0) problems.Add("It has no message.");
        for (int i = 0; i < messages.Count; i++)
        {
            if (messages[i]?.Content is null) problems.Add($"Message {i + 1} has no content.");
            else if (!Roles.Contains(messages[i].Role)) problems.Add($"Message {i + 1} has the role '{messages[i].Role}', but the roles of this template are {string.Join(", ", Roles)}.");
        }
        if (problems.Count > 0 || !Alternates) return problems;
        int first = messages[0].Role == System ? 1 : 0;
        if (first == messages.Count) problems.Add("It has a system message alone, which this template writes into a turn of the user.");
        for (int i = first; i < messages.Count; i++)
        {
            string wanted = (i - first) % 2 == 0 ? User : Assistant;
            if (messages[i].Role == wanted) continue;
            problems.Add($"Message {i + 1} has the role '{messages[i].Role}' where '{wanted}' must be: user and assistant take turns{(Roles.Contains(System) ? ", behind one system message at most" : "")}.");
            break;
        }
        return problems;
    }
}
