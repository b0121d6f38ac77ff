namespace Lora.Llm;

/// <summary>Zephyr. The marks of its roles are text and no tokens, so it fits any tokenizer that has a token for the end of a text.</summary>
internal sealed class ZephyrTemplate() : ChatTemplate("zephyr", bos: null, "</s>", hasSystem: true, alternates: false)
{
    private protected override void Write(ChatWriter writer, IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        for (int i = 0; i < messages.Count; i++) writer.Text($"<|{messages[i].Role}|>\n").Body(i, messages[i].Content).Eos(i).Text("\n");
        if (addGenerationPrompt) writer.Text("<|assistant|>\n");
    }
}
