namespace Lora.Llm;

/// <summary>Llama 3.</summary>
internal sealed class Llama3Template() : ChatTemplate("llama-3", "<|begin_of_text|>", eos: null, hasSystem: true, alternates: false)
{
    private protected override void Write(ChatWriter writer, IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        writer.Bos();
        for (int i = 0; i < messages.Count; i++) Header(messages[i].Role).Body(i, Trim(messages[i].Content)).End(i, "<|eot_id|>");
        if (addGenerationPrompt) Header(Assistant);

        ChatWriter Header(string role) => writer.Token("<|start_header_id|>").Text(role).Token("<|end_header_id|>").Text("\n\n");
    }
}
