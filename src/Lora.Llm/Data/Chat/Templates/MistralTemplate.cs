namespace Lora.Llm;

/// <summary>Mistral with the third version of its tokenizer. The system message stands in the user's last turn.</summary>
/// <remarks>The published Jinja template drops the system message where the assistant speaks last. Here it stays, in the user's last turn, so that the model learns what it will be asked.</remarks>
internal sealed class MistralTemplate() : ChatTemplate("mistral", "<s>", "</s>", hasSystem: true, alternates: true)
{
    private protected override void Write(ChatWriter writer, IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        int first = messages[0].Role == System ? 1 : 0, last = messages.Count - 1;
        if (messages[last].Role != User) last--;
        writer.Bos();
        for (int i = first; i < messages.Count; i++)
        {
            if (messages[i].Role == Assistant)
            {
                writer.Body(i, $" {Trim(messages[i].Content)}").Eos(i);
                continue;
            }
            writer.Token("[INST]").Text(" ");
            if (i == last && first == 1) writer.Body(0, messages[0].Content).Text("\n\n");
            writer.Body(i, messages[i].Content).Token("[/INST]");
        }
    }
}
