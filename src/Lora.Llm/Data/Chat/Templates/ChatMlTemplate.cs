namespace Lora.Llm;

/// <summary>ChatML, as Qwen2 and many fine-tuned models write it; Qwen2 puts a system message of its own where there is none.</summary>
internal sealed class ChatMlTemplate(string name, string? defaultSystem) : ChatTemplate(name, bos: null, eos: null, hasSystem: true, alternates: false)
{
    private protected override void Write(ChatWriter writer, IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        if (defaultSystem is not null && messages[0].Role != System) writer.Token("<|im_start|>").Text($"{System}\n{defaultSystem}").Token("<|im_end|>").Text("\n");
        for (int i = 0; i < messages.Count; i++)
            writer.Token("<|im_start|>").Text($"{messages[i].Role}\n").Body(i, messages[i].Content).End(i, "<|im_end|>").Text("\n");
        if (addGenerationPrompt) writer.Token("<|im_start|>").Text($"{Assistant}\n");
    }
}
