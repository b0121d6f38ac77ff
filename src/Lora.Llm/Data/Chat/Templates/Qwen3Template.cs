namespace Lora.Llm;

/// <summary>
/// Qwen3: ChatML whose answers to the last question begin with what was thought, be it nothing. Thoughts in earlier answers, between <c>&lt;think&gt;</c> and <c>&lt;/think&gt;</c>, are left out.
/// </summary>
internal sealed class Qwen3Template() : ChatTemplate("qwen3", bos: null, eos: null, hasSystem: true, alternates: false)
{
    private protected override void Write(ChatWriter writer, IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        int lastQuestion = messages.Count - 1;
        for (int i = messages.Count - 1; i >= 0; i--)
        {
            if (messages[i].Role != User || IsToolResponse(messages[i].Content)) continue;
            lastQuestion = i;
            break;
        }
        for (int i = 0; i < messages.Count; i++)
        {
            string body = messages[i].Role == Assistant ? Answer(messages[i].Content, i > lastQuestion, i == messages.Count - 1) : messages[i].Content;
            writer.Token("<|im_start|>").Text($"{messages[i].Role}\n").Body(i, body).End(i, "<|im_end|>").Text("\n");
        }
        if (addGenerationPrompt) writer.Token("<|im_start|>").Text($"{Assistant}\n");
    }

    private static bool IsToolResponse(string content) => content.StartsWith("<tool_response>", StringComparison.Ordinal) && content.EndsWith("</tool_response>", StringComparison.Ordinal);

    private static string Answer(string content, bool isBehindLastQuestion, bool isLast)
    {
        string thought = "";
        if (content.Contains("</think>", StringComparison.Ordinal))
        {
            thought = content.Split("</think>")[0].TrimEnd('\n').Split("<think>")[^1].TrimStart('\n');
            content = content.Split("</think>")[^1].TrimStart('\n');
        }
        return isBehindLastQuestion && (isLast || thought.Length > 0) ? $"<think>\n{thought.Trim('\n')}\n</think>\n\n{content.TrimStart('\n')}" : content;
    }
}
