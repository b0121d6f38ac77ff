namespace Lora.Llm;

/// <summary>Gemma, whose assistant is called model and which knows no system message.</summary>
internal sealed class GemmaTemplate() : ChatTemplate("gemma", "<bos>", eos: null, hasSystem: false, alternates: true)
{
    private protected override void Write(ChatWriter writer, IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        writer.Bos();
        for (int i = 0; i < messages.Count; i++)
        {
            string role = messages[i].Role == Assistant ? "model" : messages[i].Role;
            writer.Token("<start_of_turn>").Text($"{role}\n").Body(i, Trim(messages[i].Content)).End(i, "<end_of_turn>").Text("\n");
        }
        if (addGenerationPrompt) writer.Token("<start_of_turn>").Text("model\n");
    }
}
