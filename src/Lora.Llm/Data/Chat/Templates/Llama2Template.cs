namespace Lora.Llm;

/// <summary>Llama 2: every question begins a text of its own, and the system message stands in the first.</summary>
internal sealed class Llama2Template() : ChatTemplate("llama-2", "<s>", "</s>", hasSystem: true, alternates: true)
{
    private protected override void Write(ChatWriter writer, IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        int first = messages[0].Role == System ? 1 : 0;
        for (int i = first; i < messages.Count; i++)
        {
            if (messages[i].Role == Assistant)
            {
                writer.Body(i, $" {Trim(messages[i].Content)} ").Eos(i);
                continue;
            }
            writer.Bos().Text("[INST] ");
            // The whole is trimmed, which reaches the system message's beginning no more than the question's behind it.
            if (i == 1 && first == 1) writer.Text("<<SYS>>\n").Body(0, messages[0].Content).Text("\n<</SYS>>\n\n").Body(i, TrimEnd(messages[i].Content));
            else writer.Body(i, Trim(messages[i].Content));
            writer.Text(" [/INST]");
        }
    }

    private static string TrimEnd(string text) => Trim($".{text}")[1..];
}
